//! The real binary, shared by the tests that run at the same time with the same flags.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use streamkeeper_conformance::Server;

/// Live readers wait for long: what ends them is an event, not a timeout.
pub const PATIENT: &[&str] = &["--long-poll-timeout", "40s", "--sse-lifetime", "60s"];

/// Live readers are ended soon, and pages are as small as they get.
pub const BRISK: &[&str] =
    &["--long-poll-timeout", "500ms", "--sse-lifetime", "2s", "--page-size", "1KiB"];

/// Small pages, live readers wait for long.
pub const SMALL_PAGES: &[&str] = &["--long-poll-timeout", "40s", "--page-size", "1KiB"];

/// Servers by their flags. Weak, so that the last test that uses one ends it.
type Running = Mutex<Option<HashMap<&'static [&'static str], Weak<Server>>>>;

static RUNNING: Running = Mutex::new(None);

/// A running server and its address.
#[derive(Debug, Clone)]
pub struct Shared {
    server: Arc<Server>,
}

impl Shared {
    /// The server with these flags: the one that runs, or a new one.
    ///
    /// # Panics
    ///
    /// It cannot be built or started.
    pub fn with(flags: &'static [&'static str]) -> Self {
        let mut running = RUNNING.lock();
        let running = running.get_or_insert_default();
        if let Some(server) = running.get(flags).and_then(Weak::upgrade) {
            return Self { server };
        }
        let server = Arc::new(start(flags));
        running.insert(flags, Arc::downgrade(&server));
        Self { server }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        address_of(&self.server)
    }
}

/// Starts a server of one's own, which keeps its streams in memory.
///
/// # Panics
///
/// It cannot be built or started.
pub fn start(flags: &[&str]) -> Server {
    Server::start(&[&["--storage", "memory"], flags].concat()).expect("the server starts")
}

/// Where a server listens.
///
/// # Panics
///
/// It said something that is no address.
pub fn address_of(server: &Server) -> SocketAddr {
    server.authority().parse().expect("a server listens on an address")
}
