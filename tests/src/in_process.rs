//! A server in this process, on a real socket, with a storage and a clock that obey the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use streamkeeper::supervisor::StandardPolicy;
use streamkeeper::{Limits, Streamkeeper};
use streamkeeper_http::Options;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::FaultyStorage;
use crate::clock::ManualClock;
use crate::stream::MOUNT;

/// The second path that the same streams are served at.
pub const OTHER_MOUNT: &str = "/elsewhere/deep";

/// How the server is to be.
#[derive(Debug)]
pub struct Setup {
    /// The HTTP side. Live readers wait for long unless a test says otherwise.
    pub options: Options,
    /// The limits.
    pub limits: Limits,
    /// What happens when an actor ends.
    pub policy: StandardPolicy,
    /// Whether the clock stands still until the test moves it.
    pub manual_clock: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let options = Options {
            long_poll_timeout: Duration::from_secs(40),
            sse_lifetime: Duration::from_secs(60),
            ..Options::default()
        };
        let policy = StandardPolicy::transient();
        Self { options, limits: Limits::default(), policy, manual_clock: false }
    }
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct InProcess {
    /// Where it listens.
    pub address: SocketAddr,
    /// The system behind it.
    pub keeper: Streamkeeper,
    /// What keeps its streams.
    pub storage: Arc<FaultyStorage>,
    /// Its clock, if the setup asked for a manual one.
    pub clock: ManualClock,
    serving: JoinHandle<()>,
}

impl Setup {
    /// Starts the server.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn start(self) -> InProcess {
        let storage = Arc::new(FaultyStorage::default());
        let clock = ManualClock::default();
        let builder = Streamkeeper::builder()
            .storage(storage.clone())
            .limits(self.limits)
            .policy(self.policy)
            .seed(7);
        let builder = if self.manual_clock { builder.clock(clock.clone()) } else { builder };
        let keeper = builder.start().await.expect("the system starts");
        let routes = streamkeeper_http::router(keeper.clone(), self.options);
        let app = Router::new().nest(MOUNT, routes.clone()).nest(OTHER_MOUNT, routes);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("serving goes on");
        });
        InProcess { address, keeper, storage, clock, serving }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
