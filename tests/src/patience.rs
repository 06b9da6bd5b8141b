//! Waiting: with generous deadlines, because the machine may be slow and busy.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long anything that must happen may take. Only a bug comes near it.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// Waits for something that must happen.
///
/// # Panics
///
/// It does not happen within the [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Asks again and again until the answer is yes.
///
/// # Panics
///
/// It is still no at the [`DEADLINE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Gives the server time to get something wrong. What is asserted afterwards must hold however long
/// this is; it only makes the interesting order of events likely.
pub async fn settle() {
    sleep(Duration::from_millis(80)).await;
}
