//! One stream, many SSE subscribers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use memchr::memchr_iter;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{Settings, setup};
use crate::http::{Connection, request};
use crate::load::{Meter, Sample};
use crate::target::Running;

/// A byte that is in every message once, and nowhere else in events.
const MARK: u8 = b'~';

/// How long a message may take to reach everybody.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the writer and the subscribers share.
struct Shared {
    /// When the load began; times below count from here.
    origin: Instant,
    /// When the message that is on its way was sent, in nanoseconds.
    sent: AtomicU64,
    /// How many subscribers do not have it yet.
    missing: AtomicUsize,
    /// Told when all have it.
    complete: Notify,
    meter: Meter,
}

/// The writer sends the next message when every subscriber has the last one. An operation is one
/// delivery: from sending the append to having the event.
pub(super) async fn run(
    server: &Running,
    settings: &Settings,
    subscribers: usize,
) -> io::Result<Sample> {
    let writer = setup::one_stream(server.address(), setup::TEXT).await?;
    let path = format!("{}?offset=now&live=sse", setup::path(0));
    let subscribe = request("GET", &path, &[("accept", "text/event-stream")], b"");
    let mut readers = Vec::with_capacity(subscribers);
    for _ in 0..subscribers {
        let mut reader = Connection::open(server.address()).await?;
        reader.send(&subscribe).await?;
        // The head comes when the subscription stands.
        let head = reader.head().await?;
        readers.push((reader, head.framing));
    }
    let shared = Arc::new(Shared {
        origin: Instant::now(),
        sent: AtomicU64::new(0),
        missing: AtomicUsize::new(0),
        complete: Notify::new(),
        meter: Meter::start(settings.window)?,
    });
    // Subscribers read until the writer, who holds the other end, is done.
    let (over, is_over) = watch::channel(());
    let mut workers = JoinSet::new();
    for (mut reader, framing) in readers {
        let (shared, mut is_over) = (shared.clone(), is_over.clone());
        workers.spawn(async move {
            tokio::select! {
                biased;
                ended = reader.body(framing, |piece| shared.receive(piece)) => {
                    ended.and(Err(io::Error::other("a subscription ended")))
                }
                _ = is_over.changed() => Ok(()),
            }
        });
    }
    let writing = write(writer, shared.clone(), subscribers);
    workers.spawn(async move {
        let written = writing.await;
        drop(over);
        written
    });
    shared.meter.clone().measure(server.pid(), workers).await
}

async fn write(mut writer: Connection, shared: Arc<Shared>, subscribers: usize) -> io::Result<()> {
    let mut body = [b'x'; 100];
    body[50] = MARK;
    let append = setup::append(0, setup::TEXT, &body);
    while !shared.meter.is_over(Instant::now()) {
        shared.missing.store(subscribers, Ordering::Relaxed);
        let sent = shared.origin.elapsed().as_nanos() as u64;
        shared.sent.store(sent, Ordering::Relaxed);
        writer.exchange(&append).await?;
        if timeout(PATIENCE, shared.complete.notified()).await.is_err() {
            let missing = shared.missing.load(Ordering::Relaxed);
            return Err(io::Error::other(format!("{missing} subscribers did not get a message")));
        }
    }
    Ok(())
}

impl Shared {
    fn receive(&self, piece: &[u8]) {
        for _ in memchr_iter(MARK, piece) {
            let sent = self.origin + Duration::from_nanos(self.sent.load(Ordering::Relaxed));
            self.meter.count(sent);
            if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.complete.notify_one();
            }
        }
    }
}
