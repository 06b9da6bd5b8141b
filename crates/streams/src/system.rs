//! The handle of a system of streams, and how one is started and stopped.

mod append;
mod create;
mod delete;
mod list;
mod live;
mod observe;
mod read;
pub(crate) mod recollect;
mod retention;
mod subscriptions;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use streamkeeper_protocol::StreamName;
use streamkeeper_storage::{MemoryStorage, Storage};
use streamkeeper_supervisor::{LiftError, RestartPolicy, ShutdownReport, StartError, Supervisor};

pub use self::list::Listing;
pub use self::live::Subscription;
pub use self::retention::RetentionScheduler;
pub use self::subscriptions::{
    AckError, ClaimError, CreateSubscriptionError, CreatedSubscription, SubscriptionError,
    Subscriptions, TOKEN_LIFETIME,
};

use crate::context::Context;
use crate::events::Events;
use crate::limits::{Limits, Permit};
use crate::policies::Policies;
use crate::stream_supervisor::stream::message::Message;
use crate::{Clock, SystemClock, Unavailable, Webhooks, tree};

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
    policies: Policies,
    limits: Limits,
    webhooks: Option<Arc<dyn Webhooks>>,
    seed: Option<u64>,
}

impl Builder {
    /// What keeps the streams. Default: a new [`MemoryStorage`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    /// use streamkeeper::Streamkeeper;
    /// use streamkeeper::storage::MemoryStorage;
    ///
    /// let keeper = Streamkeeper::builder().storage(Arc::new(MemoryStorage::new())).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn storage(self, storage: Arc<dyn Storage>) -> Self {
        Self { storage: Some(storage), ..self }
    }

    /// What tells the time. Default: the machine's clock.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{Clock, Streamkeeper, Timestamp};
    ///
    /// /// A time that stands still.
    /// struct Stopped;
    ///
    /// impl Clock for Stopped {
    ///     fn now(&self) -> Timestamp {
    ///         Timestamp::from_millis(1_700_000_000_000)
    ///     }
    /// }
    ///
    /// let keeper = Streamkeeper::builder().clock(Stopped).seed(7).start().await?;
    /// assert_eq!(keeper.now(), Timestamp::from_millis(1_700_000_000_000));
    /// # Ok(())
    /// # }
    /// ```
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// What to do when a stream's actor ends. Default: [`StandardPolicy::transient`].
    ///
    /// The policy is asked with the stream's name as the incident's child. It is asked of crashes only:
    /// a stream that ends because it was deleted or has expired stays ended.
    ///
    /// [`StandardPolicy::transient`]: streamkeeper_supervisor::StandardPolicy::transient
    pub fn policy(mut self, policy: impl RestartPolicy) -> Self {
        self.policies.set_default(policy);
        self
    }

    /// The same for the streams whose names begin with `prefix`, intensity and period included. The
    /// longest prefix wins; a prefix that is given again replaces the first.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), streamkeeper::supervisor::StartError> {
    /// use std::time::Duration;
    /// use streamkeeper::Streamkeeper;
    /// use streamkeeper::supervisor::StandardPolicy;
    ///
    /// let patient = StandardPolicy::transient().intensity(100, Duration::from_secs(60));
    /// let keeper = Streamkeeper::builder()
    ///     .policy_for("orders/", patient)
    ///     .policy_for("scratch/", StandardPolicy::temporary())
    ///     .start()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn policy_for(mut self, prefix: &str, policy: impl RestartPolicy) -> Self {
        self.policies.set(prefix, policy);
        self
    }

    /// The limits. Default: [`Limits::default`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{Limits, Streamkeeper};
    ///
    /// let limits = Limits { pending_bytes: 64 << 20, ..Limits::default() };
    /// let keeper = Streamkeeper::builder().limits(limits).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What calls webhooks and signs tokens. Default: none; then subscriptions by webhook are refused.
    pub fn webhooks(self, webhooks: Arc<dyn Webhooks>) -> Self {
        Self { webhooks: Some(webhooks), ..self }
    }

    /// The seed of all chance: stream ids and the jitter of restarts. Default: drawn.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Starts the system. Must be called within a tokio runtime.
    pub async fn start(self) -> Result<Streamkeeper, StartError> {
        let storage = self.storage.unwrap_or_else(|| Arc::new(MemoryStorage::new()));
        let seed = self.seed.unwrap_or_else(rand::random);
        let Self { clock, policies, limits, webhooks, .. } = self;
        let context = Context::new(storage, clock, policies, limits, webhooks, seed);
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
            policies: Policies::default(),
            limits: Limits::default(),
            webhooks: None,
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
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::Streamkeeper;
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// for stream in keeper.quarantined() {
    ///     println!("{} is kept down: {}", stream.name, stream.reason);
    ///     keeper.lift_quarantine(&stream.name).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lift_quarantine(&self, name: &StreamName) -> Result<bool, Unavailable> {
        let Some(key) = self.context.registry.quarantined_key(name) else { return Ok(false) };
        let lifted = self.context.stream_supervisor()?.lift_quarantine(&key).await;
        match lifted {
            Ok(_) => Ok(true),
            Err(LiftError::NotFound | LiftError::NotQuarantined) => Ok(false),
            Err(LiftError::Start(_)) => Err(Unavailable::Restarting),
        }
    }

    /// What happens to streams as processes, from now on: starts, crashes with their cause, restarts,
    /// quarantine, dormancy. Costs nothing while nobody listens.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::StreamExt;
    /// use streamkeeper::{CreateRequest, StreamName, Streamkeeper, SupervisionEvent};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let mut events = keeper.events();
    /// let name = StreamName::new("chat/1")?;
    /// keeper.create(&name, CreateRequest::text()).await?;
    /// assert_eq!(events.next().await, Some(SupervisionEvent::Started { name }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        self.context.events.listen()
    }

    /// Kills the actor of a stream, as one kills a process in OTP's observer: it is not asked, and its
    /// policy decides what follows. `false` if the stream has no actor now.
    ///
    /// For an operator, and to see a policy at work. What was in the actor's hands is answered with
    /// [`Unavailable::OutcomeUnknown`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let name = StreamName::new("chat/1")?;
    /// keeper.create(&name, CreateRequest::default()).await?;
    /// assert!(keeper.kill(&name));
    /// // It is started again, and the next request waits for that.
    /// keeper.metadata(&name).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill(&self, name: &StreamName) -> bool {
        self.context.kill(name)
    }

    /// Whether writes can be expected to succeed; tells why not.
    pub fn health(&self) -> Result<(), Unavailable> {
        if self.is_closing() {
            return Err(Unavailable::ShuttingDown);
        }
        self.context.storage.health().map_err(Unavailable::Storage)
    }

    /// Whether live reads are to end.
    fn is_closing(&self) -> bool {
        self.context.closing.is_cancelled()
    }

    /// Returns when live reads are to end.
    pub(crate) async fn closing(&self) {
        self.context.closing.cancelled().await;
    }

    /// Ends live reads: each gets what there is, and no new one waits. Writes go on.
    pub fn end_live_reads(&self) {
        self.context.closing.cancel();
        // Those who follow a stream wait for nothing but its actor.
        for handle in self.context.registry.all_running() {
            handle.cast(Message::Stir);
        }
    }

    /// Shuts the system down: ends live reads, lets every stream answer what waits for it, then stops
    /// them; what is left after the deadline is killed. Tells what did not stop by itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use streamkeeper::Streamkeeper;
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let report = keeper.shutdown(Duration::from_secs(5)).await;
    /// for name in report.stopped.iter().chain(&report.killed) {
    ///     eprintln!("{name} did not stop in time");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.end_live_reads();
        self.context.retention.shutdown(deadline).await;
        // They write into streams.
        let subscriptions = self.context.subscriptions.shutdown(deadline).await;
        // The streams first, for their report; the tree above them is then empty and quick.
        let streams = match self.context.stream_supervisor() {
            Ok(supervisor) => supervisor.shutdown(deadline).await,
            Err(_) => ShutdownReport::default(),
        };
        self.tree.shutdown(deadline).await;
        self.context.events.end();
        ShutdownReport {
            drained: streams.drained + subscriptions.drained,
            stopped: [streams.stopped, subscriptions.stopped].concat(),
            killed: [streams.killed, subscriptions.killed].concat(),
        }
    }
}

impl fmt::Debug for Streamkeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamkeeper").finish_non_exhaustive()
    }
}
