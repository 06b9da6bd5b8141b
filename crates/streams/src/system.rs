//! The handle of a system of streams, and how one is started and stopped.

mod append;
mod create;
mod delete;
mod live;
mod read;
mod recollect;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use streamkeeper_protocol::StreamName;
use streamkeeper_storage::{MemoryStorage, Storage};
use streamkeeper_supervisor::{
    LiftError, RestartPolicy, ShutdownReport, StandardPolicy, StartError, Supervisor,
};

pub use self::live::Subscription;

use crate::context::Context;
use crate::limits::{Limits, Permit};
use crate::{Clock, SystemClock, Unavailable, tree};

/// A system of streams. Cheap to clone; every clone is the same system.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use streamkeeper::{AppendRequest, ContentType, CreateRequest, ReadFrom, StreamName, Streamkeeper};
///
/// let keeper = Streamkeeper::builder().start().await?;
/// let name = StreamName::new("chat/1")?;
/// let text = ContentType::parse("text/plain")?;
///
/// let request = CreateRequest { content_type: Some(text.clone()), ..Default::default() };
/// keeper.create(&name, request).await?;
/// let request = AppendRequest { content_type: Some(text), body: "hello".into(), ..Default::default() };
/// keeper.append(&name, request).await?;
///
/// let page = keeper.read(&name, ReadFrom::Start, 1 << 20).await?;
/// assert_eq!(page.payloads(), ["hello"]);
/// assert!(page.up_to_date);
///
/// keeper.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Streamkeeper {
    context: Arc<Context>,
    tree: Supervisor,
}

/// How a system is to be. Begin with [`Streamkeeper::builder`].
pub struct Builder {
    storage: Option<Arc<dyn Storage>>,
    clock: Arc<dyn Clock>,
    policy: Arc<dyn RestartPolicy>,
    limits: Limits,
    seed: Option<u64>,
}

impl Builder {
    /// What keeps the streams. Default: a new [`MemoryStorage`].
    pub fn storage(self, storage: Arc<dyn Storage>) -> Self {
        Self { storage: Some(storage), ..self }
    }

    /// What tells the time. Default: the machine's clock.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// What to do when a stream's actor ends. Default: [`StandardPolicy::transient`].
    ///
    /// The policy is asked with the stream's name as the incident's child, so it can decide by name. It
    /// is asked of crashes only: a stream that ends because it was deleted or has expired stays ended.
    pub fn policy(self, policy: impl RestartPolicy) -> Self {
        Self { policy: Arc::new(policy), ..self }
    }

    /// The limits. Default: [`Limits::default`].
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The seed of all chance: stream ids and the jitter of restarts. Default: drawn.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Starts the system. Must be called within a tokio runtime.
    pub async fn start(self) -> Result<Streamkeeper, StartError> {
        let storage = self.storage.unwrap_or_else(|| Arc::new(MemoryStorage::new()));
        let seed = self.seed.unwrap_or_else(rand::random);
        let context = Context::new(storage, self.clock, self.policy, self.limits, seed);
        let tree = tree::start(&context).await?;
        Ok(Streamkeeper { context, tree })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Streamkeeper {
    /// A system to be configured and started.
    pub fn builder() -> Builder {
        Builder {
            storage: None,
            clock: Arc::new(SystemClock),
            policy: Arc::new(StandardPolicy::transient()),
            limits: Limits::default(),
            seed: None,
        }
    }

    /// Takes a permit for a request whose body will have `bytes`, before the body is read.
    ///
    /// [`append`](Self::append) and [`create`](Self::create) take one themselves; a server that reads
    /// bodies from a network takes it first, so that bodies count from their first byte.
    ///
    /// Fails with [`Unavailable::Overloaded`] if the system holds too much already.
    pub fn permit(&self, bytes: usize) -> Result<Permit, Unavailable> {
        self.context.permit(bytes)
    }

    /// The time, as the system's clock tells it.
    pub fn now(&self) -> streamkeeper_protocol::Timestamp {
        self.context.clock.now()
    }

    /// Draws a number from the system's source of chance.
    pub fn draw(&self) -> u64 {
        self.context.draw_seed()
    }

    /// Starts a quarantined stream again; `false` if it is not in quarantine.
    ///
    /// Fails if it cannot be started; it then stays in quarantine.
    pub async fn lift_quarantine(&self, name: &StreamName) -> Result<bool, Unavailable> {
        let Some(key) = self.context.registry.quarantined_key(name) else { return Ok(false) };
        let lifted = self.context.stream_supervisor()?.lift_quarantine(&key).await;
        match lifted {
            Ok(_) => Ok(true),
            Err(LiftError::NotFound | LiftError::NotQuarantined) => Ok(false),
            Err(LiftError::Start(_)) => Err(Unavailable::Restarting),
        }
    }

    /// Whether writes can be expected to succeed; tells why not.
    pub fn health(&self) -> Result<(), Unavailable> {
        if self.context.closing.is_cancelled() {
            return Err(Unavailable::ShuttingDown);
        }
        self.context.storage.health().map_err(Unavailable::Storage)
    }

    /// Ends live reads: each gets what there is, and no new one waits. Writes go on.
    pub fn end_live_reads(&self) {
        self.context.closing.cancel();
    }

    /// Shuts the system down: ends live reads, lets every stream answer what waits for it, then stops
    /// them; what is left after the deadline is killed. Tells what did not stop by itself.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.end_live_reads();
        // The streams first, for their report; the tree above them is then empty and quick.
        let streams = match self.context.stream_supervisor() {
            Ok(supervisor) => supervisor.shutdown(deadline).await,
            Err(_) => ShutdownReport::default(),
        };
        self.tree.shutdown(deadline).await;
        streams
    }
}

impl fmt::Debug for Streamkeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamkeeper").finish_non_exhaustive()
    }
}
