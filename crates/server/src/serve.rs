//! Puts the server together, runs it, and takes it down in order.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use streamkeeper::{Clock, Limits, REQUEST_OVERHEAD, Streamkeeper, SystemClock};
use streamkeeper_http::{CacheVisibility, Options, Streams};
use streamkeeper_storage::{MemoryStorage, Storage};
use streamkeeper_storage_log::{LogOptions, LogStorage, OpenReport};
use streamkeeper_webhook::{KeyOptions, Keyring, SignedWebhooks, UrlPolicy};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};

use crate::accept::{self, App, Connections};
use crate::cli::{Cache, Serve, StorageKind};
use crate::health;

/// Where streams live.
const MOUNT: &str = "/v1/stream";

/// Where keys are, in the data directory. The log's lock keeps other processes out of it.
const KEYS_DIR: &str = "keys";

/// Runs the server until it is asked to stop.
pub(crate) async fn run(config: Serve) -> Result<(), Box<dyn Error>> {
    let storage = open_storage(&config)?;
    let webhooks = open_webhooks(&config)?;
    let keeper = Streamkeeper::builder().storage(storage).limits(limits(&config)?);
    let keeper = keeper.webhooks(webhooks).start().await?;
    let listener = TcpListener::bind(config.listen).await;
    let listener =
        listener.map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let stop = stop_signal()?;
    announce(&listener, &config)?;
    let connections = accept::serve(listener, app(&keeper, &config), stop).await;
    shut_down(&keeper, connections, config.shutdown_timeout).await;
    Ok(())
}

fn open_storage(config: &Serve) -> Result<Arc<dyn Storage>, Box<dyn Error>> {
    match config.storage {
        StorageKind::Memory => Ok(Arc::new(MemoryStorage::with_limit(config.memory_limit))),
        StorageKind::Log => {
            let dir = &config.data_dir;
            let options = LogOptions {
                segment_bytes: config.journal_segment_size,
                prepared_bytes: config.journal_ahead,
                cache_bytes: config.read_cache,
                ..LogOptions::default()
            };
            let (log, report) = LogStorage::open(dir, options)
                .map_err(|error| format!("{}: {error}", dir.display()))?;
            let OpenReport { streams, replayed, torn_bytes, damage } = report;
            let dir = dir.display();
            tracing::info!(%dir, streams, replayed, torn_bytes, damage = damage.len(), "opened");
            Ok(Arc::new(log))
        }
    }
}

/// Keys live beside the streams, because what they signed is about them: in memory, or on disk.
fn open_webhooks(config: &Serve) -> Result<Arc<SignedWebhooks>, Box<dyn Error>> {
    let options = KeyOptions { lifetime: config.webhook_key_lifetime };
    let now = SystemClock.now();
    let keyring = match config.storage {
        StorageKind::Memory => Keyring::ephemeral(options, now)?,
        StorageKind::Log => Keyring::open(&config.data_dir.join(KEYS_DIR), options, now)?,
    };
    let policy = UrlPolicy { allow_localhost: config.webhook_allow_localhost };
    if policy.allow_localhost {
        tracing::warn!(
            "webhooks may be sent to this machine: --webhook-allow-localhost is for development"
        );
    }
    Ok(Arc::new(SignedWebhooks::new(keyring, policy, Arc::new(SystemClock))?))
}

fn limits(config: &Serve) -> Result<Limits, Box<dyn Error>> {
    let largest = config.max_body.saturating_add(REQUEST_OVERHEAD);
    if largest > config.max_pending_per_stream || largest > config.max_pending {
        return Err("--max-body must be below --max-pending-per-stream and --max-pending".into());
    }
    Ok(Limits {
        pending_bytes: config.max_pending,
        pending_bytes_per_stream: config.max_pending_per_stream,
        dormant_after: config.dormant_after,
        awake_streams: config.max_awake_streams,
        retention_interval: config.retention_interval,
        ..Limits::default()
    })
}

fn app(keeper: &Streamkeeper, config: &Serve) -> App {
    let options = Options {
        page_bytes: config.page_size,
        long_poll_timeout: config.long_poll_timeout,
        sse_lifetime: config.sse_lifetime,
        max_body_bytes: config.max_body,
        body_timeout: config.body_timeout,
        cache: match config.cache {
            Cache::Public => CacheVisibility::Public,
            Cache::Private => CacheVisibility::Private,
        },
        trust_forwarded: config.trust_forwarded,
        public_url: config.public_url.clone(),
    };
    let routes = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(streamkeeper_http::not_found)
        .with_state(keeper.clone())
        .nest(MOUNT, streamkeeper_http::router(keeper.clone(), options.clone()));
    App { streams: Streams::new(keeper.clone(), options, MOUNT), routes }
}

/// Tells where the server is, on standard output: scripts read it, and the port may be a drawn one.
fn announce(listener: &TcpListener, config: &Serve) -> io::Result<()> {
    let address = listener.local_addr()?;
    let storage = match config.storage {
        StorageKind::Memory => "memory".to_owned(),
        StorageKind::Log => format!("log in {}", config.data_dir.display()),
    };
    tracing::info!(%address, storage, version = env!("CARGO_PKG_VERSION"), "started");
    writeln!(io::stdout(), "streamkeeper listening on http://{address} (storage: {storage})")
}

/// Ends live readers, lets requests finish, stops the streams. What is left at the deadline is cut.
async fn shut_down(keeper: &Streamkeeper, connections: Connections, timeout: Duration) {
    tracing::info!(?timeout, "shutting down");
    let deadline = Instant::now() + timeout;
    keeper.end_live_reads();
    // Half of the time for the connections, so that streams can always drain.
    let served = timeout_at(deadline - timeout / 2, connections.shutdown()).await;
    if served.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    let report = keeper.shutdown(deadline.saturating_duration_since(Instant::now())).await;
    match report.is_clean() {
        true => tracing::info!("stopped"),
        false => tracing::warn!(?report, "stopped, but not everything by itself"),
    }
}

/// Resolves at the first SIGTERM or Ctrl-C. A second one ends the process at once.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut stop = Some(stop);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match stop.take() {
                Some(stop) => drop(stop.send(())),
                None => std::process::exit(130),
            }
        }
    });
    Ok(async move { drop(stopped.await) })
}
