//! The supervisor of the subscriptions: one actor for each, started with the system and on demand.

mod handle;
mod inbox;
mod interests;
mod log;
mod registry;
pub(crate) mod subscription;
mod survey;
mod wake_event;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::{Mutex, RwLock};
use ractor::{Actor, ActorCell};
use streamkeeper_protocol::subscription::{SubscriptionId, SubscriptionState};
use streamkeeper_storage::StorageError;
use streamkeeper_supervisor::{
    Backoff, ChildSpec, DynamicSupervisor, NoObserver, ShutdownReport, StandardPolicy, StartError,
};
use tokio::sync::Semaphore;

pub(crate) use self::interests::{Followers, Interests};

use self::handle::{End, Handle};
use self::log::EventLog;
use self::registry::Registry;
use self::subscription::{Arguments, Subscription};
use crate::Unavailable;
use crate::context::Context;
use crate::limits::Limits;
use crate::webhooks::Webhooks;

/// How many subscriptions are loaded at once when the system starts.
const LOADS_AT_ONCE: usize = 16;

/// How many surveys of storage run at once.
const SURVEYS_AT_ONCE: usize = 16;

/// How many locks keep racing starts of one subscription apart.
const START_LOCKS: usize = 64;

/// How long to wait before subscriptions that could not be loaded are tried again.
const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// What all subscriptions of a system share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) interests: Interests,
    pub(crate) webhooks: Option<Arc<dyn Webhooks>>,
    /// One permit for each webhook that may be called at once.
    pub(crate) calls: Arc<Semaphore>,
    surveys: Semaphore,
    starts: Vec<tokio::sync::Mutex<()>>,
    /// The supervisor of the day: another one after it was restarted.
    supervisor: RwLock<Option<DynamicSupervisor<SubscriptionKey>>>,
}

/// One start of a subscription: another one under the same id never meets it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SubscriptionKey {
    id: SubscriptionId,
    start: u64,
}

impl fmt::Display for SubscriptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)
    }
}

/// Why a subscription has no actor.
#[derive(Debug)]
pub(crate) enum FindError {
    NotFound,
    Unavailable(Unavailable),
}

impl Shared {
    pub(crate) fn new(limits: &Limits, webhooks: Option<Arc<dyn Webhooks>>) -> Self {
        let calls = limits.webhook_calls.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            registry: Registry::default(),
            interests: Interests::default(),
            webhooks,
            calls: Arc::new(Semaphore::new(calls)),
            surveys: Semaphore::new(SURVEYS_AT_ONCE),
            starts: (0..START_LOCKS).map(|_| tokio::sync::Mutex::new(())).collect(),
            supervisor: RwLock::new(None),
        }
    }

    fn supervisor(&self) -> Result<DynamicSupervisor<SubscriptionKey>, Unavailable> {
        self.supervisor.read().clone().ok_or(Unavailable::ShuttingDown)
    }

    fn start_lock(&self, id: &SubscriptionId) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        &self.starts[hasher.finish() as usize % START_LOCKS]
    }

    /// Lets every subscription answer what waits for it, then stops them.
    pub(crate) async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        match self.supervisor() {
            Ok(supervisor) => supervisor.shutdown(deadline).await,
            Err(_) => ShutdownReport::default(),
        }
    }
}

/// Starts the subscription supervisor below `parent`, for the first time or again.
pub(crate) async fn start(
    context: Arc<Context>,
    parent: ActorCell,
) -> Result<ActorCell, StartError> {
    // Whatever an earlier one supervised has died with it.
    context.subscriptions.registry.clear();
    context.subscriptions.interests.clear();
    let seed = context.draw_seed();
    let supervisor = DynamicSupervisor::start(Arc::new(NoObserver), seed, Some(parent)).await?;
    *context.subscriptions.supervisor.write() = Some(supervisor.clone());
    tokio::spawn(load_all(context));
    Ok(supervisor.cell())
}

/// Starts every subscription that storage holds. Until then, those that are asked for start on demand.
async fn load_all(context: Arc<Context>) {
    let closing = context.closing.clone();
    let all = async {
        let mut after = None;
        loop {
            match load_page(&context, after.clone()).await {
                Ok(None) => return,
                Ok(Some(last)) => after = Some(last),
                Err(why) => {
                    tracing::warn!(why, "subscriptions not loaded; they are tried again");
                    tokio::time::sleep(LOAD_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = all => {}
        () = closing.cancelled() => {}
    }
}

/// Starts some subscriptions and tells the last of them; `None` if there are no more.
async fn load_page(
    context: &Arc<Context>,
    after: Option<streamkeeper_protocol::StreamName>,
) -> Result<Option<streamkeeper_protocol::StreamName>, String> {
    let prefix = SubscriptionId::stream_prefix();
    let page = context.storage.list(&prefix, after.as_ref(), 1000).await;
    let page = page.map_err(|error| error.to_string())?;
    let last = page.last().cloned();
    let ids: Vec<_> = page.iter().filter_map(SubscriptionId::of_stream).collect();
    let starts: Vec<_> = ids.into_iter().map(|id| load(context, id)).collect();
    let mut starts = futures::stream::iter(starts).buffer_unordered(LOADS_AT_ONCE);
    while let Some(started) = starts.next().await {
        started?;
    }
    Ok(last)
}

async fn load(context: &Arc<Context>, id: SubscriptionId) -> Result<(), String> {
    match context.find_subscription(&id, false).await {
        Ok(_) | Err(FindError::NotFound) => Ok(()),
        Err(FindError::Unavailable(Unavailable::Storage(error @ StorageError::Corrupt(_)))) => {
            // Its neighbours are not to blame.
            tracing::error!(subscription = %id, %error, "subscription not loaded");
            Ok(())
        }
        Err(FindError::Unavailable(why)) => Err(why.to_string()),
    }
}

impl Context {
    /// The actor of a subscription; starts one if there is none.
    pub(crate) async fn find_subscription(
        self: &Arc<Self>,
        id: &SubscriptionId,
        may_be_absent: bool,
    ) -> Result<Arc<Handle>, FindError> {
        let shared = &self.subscriptions;
        if let Some(actor) = shared.registry.get(id) {
            return Ok(actor);
        }
        let _starting = shared.start_lock(id).lock().await;
        if let Some(actor) = shared.registry.get(id) {
            return Ok(actor);
        }
        let loaded = EventLog::load(&*self.storage, id).await;
        let loaded = loaded.map_err(|error| FindError::Unavailable(error.into()))?;
        if loaded.is_none() && !may_be_absent {
            return Err(FindError::NotFound);
        }
        let key = shared.registry.key(id);
        let spec = child_spec(self.clone(), id.clone(), loaded);
        let supervisor = shared.supervisor().map_err(FindError::Unavailable)?;
        supervisor.start_child(key, spec).await.map_err(|error| match error {
            StartError::ShuttingDown => FindError::Unavailable(Unavailable::ShuttingDown),
            _ => FindError::Unavailable(Unavailable::Restarting),
        })?;
        shared.registry.get(id).ok_or(FindError::Unavailable(Unavailable::Restarting))
    }
}

/// The first start takes what was loaded to see whether there is a subscription; each restart loads it
/// anew.
fn child_spec(
    context: Arc<Context>,
    id: SubscriptionId,
    loaded: Option<(EventLog, SubscriptionState)>,
) -> ChildSpec {
    let first = Arc::new(Mutex::new(Some(loaded)));
    ChildSpec::new(id.to_string(), policy(), move |supervisor| {
        let (context, id, first) = (context.clone(), id.clone(), first.lock().take());
        async move {
            let (loaded, may_be_absent) = match first {
                Some(first) => (first, true),
                None => {
                    let loaded = EventLog::load(&*context.storage, &id).await;
                    (loaded.map_err(StartError::failed)?, false)
                }
            };
            let end = Arc::new(End::default());
            let arguments = Arguments {
                context: context.clone(),
                id: id.clone(),
                loaded,
                may_be_absent,
                end: end.clone(),
            };
            let (actor, _) =
                Subscription::spawn_linked(None, Subscription, arguments, supervisor).await?;
            let cell = actor.get_cell();
            context.subscriptions.registry.running(&id, Handle::new(actor, end));
            Ok(cell)
        }
    })
}

/// A subscription that crashes is started again for ever, ever more rarely: nobody would come to lift
/// its quarantine, and its work must not be forgotten.
fn policy() -> StandardPolicy {
    let backoff = Backoff {
        initial: Duration::from_millis(10),
        max: Duration::from_secs(30),
        factor: 2.0,
        jitter: 0.5,
    };
    StandardPolicy::transient().intensity(10_000, Duration::from_secs(60)).backoff(backoff)
}
