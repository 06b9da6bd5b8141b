//! From names to addresses.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How many names the machine's resolver is asked for at once. One that does not answer keeps a
/// thread for as long as the machine is patient, even if nobody waits for it any more, and the threads
/// are shared with the storage.
const MAX_LOOKUPS: usize = 64;

/// Resolves host names. Tests bring answers of their own.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a host.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<IpAddr>>;
}

/// The machine's resolver, as `/etc/resolv.conf`, `/etc/hosts` and the like configure it.
#[derive(Debug)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        let lookup = spawn_blocking(move || {
            // Goes back when the thread does.
            let _permit = permit;
            let addresses = (host.as_str(), port).to_socket_addrs()?;
            Ok(addresses.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_machine_knows_itself_and_lookups_are_given_back() {
        let resolver = SystemResolver { lookups: Arc::new(Semaphore::new(1)) };
        for _ in 0..3 {
            let addresses = resolver.resolve("localhost", 80).await.unwrap();
            assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback));
        }
        assert!(resolver.resolve("no such name", 80).await.is_err());
        assert_eq!(resolver.lookups.available_permits(), 1);
    }
}
