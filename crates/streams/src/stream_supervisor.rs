//! The supervisor of the streams: starts a stream's actor on demand and keeps the registry true.

mod census;
mod ended;
mod gauge;
mod handle;
mod peek;
mod recent;
mod registry;
pub(crate) mod stream;
mod touch;
mod view;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorCell};
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_supervisor::{
    ChildSpec, DynamicSupervisor, Event, ExitReason, Incident, Intensity, Observer, RestartPolicy,
    StartError, Verdict,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::handle::{CallError, Handle};
pub(crate) use self::registry::{Registry, StreamKey, Surveyed, SurveyedState};
pub(crate) use self::view::{Life, Live, View};
pub(crate) use self::waiters::Waiter;

use self::ended::Ended;
use self::gauge::Gauge;
use self::registry::Lookup;
pub(crate) use self::stream::Courier;
use self::stream::{Arguments, Stream};
use self::touch::LastTouch;
pub(crate) use self::touch::Touch;
use crate::context::Context;
use crate::{SupervisionEvent, Unavailable};

/// Why a stream has no actor.
#[derive(Debug, Clone)]
pub(crate) enum OpenError {
    NotFound,
    Unavailable(Unavailable),
}

/// Whether the stream must exist to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Existing,
    OrCreate,
}

/// Starts the stream supervisor below `parent`, for the first time or again.
pub(crate) async fn start(
    context: Arc<Context>,
    parent: ActorCell,
) -> Result<ActorCell, StartError> {
    // Whatever an earlier one supervised has died with it.
    context.registry.clear();
    let observer = Arc::new(RegistryKeeper(context.clone()));
    let seed = context.draw_seed();
    let supervisor = DynamicSupervisor::start(observer, seed, Some(parent)).await?;
    context.set_stream_supervisor(supervisor.clone());
    Ok(supervisor.cell())
}

impl Context {
    /// The actor of a stream; starts one if there is none.
    pub(crate) async fn open(
        self: &Arc<Self>,
        name: &StreamName,
        open: Open,
    ) -> Result<Arc<Handle>, OpenError> {
        match self.registry.lookup(name) {
            Lookup::Running(handle) => Ok(handle),
            // Boxed, so that what is rare takes no room in every request.
            _ => Box::pin(self.start_or_wait(name, open)).await,
        }
    }

    async fn start_or_wait(
        self: &Arc<Self>,
        name: &StreamName,
        open: Open,
    ) -> Result<Arc<Handle>, OpenError> {
        if name.is_reserved() {
            return Err(OpenError::NotFound);
        }
        let patience = Instant::now() + self.limits.restart_patience;
        loop {
            match self.registry.lookup(name) {
                Lookup::Running(handle) => return Ok(handle),
                Lookup::Quarantined(reason) => {
                    return Err(OpenError::Unavailable(Unavailable::Quarantined { reason }));
                }
                Lookup::Starting(gate) => {
                    if timeout_at(patience, gate.cancelled()).await.is_err() {
                        return Err(OpenError::Unavailable(Unavailable::Restarting));
                    }
                }
                Lookup::Vacant => {
                    let Some(key) = self.registry.claim(name) else { continue };
                    let claim = Claim { context: self.clone(), key: Some(key) };
                    // In a task of its own: a caller who gives up leaves nothing half started.
                    let start = tokio::spawn(claim.start(open));
                    start.await.unwrap_or(Err(OpenError::Unavailable(Unavailable::Restarting)))?;
                }
            }
        }
    }
}

impl Context {
    /// Kills the actor of a stream, if it has one.
    pub(crate) fn kill(&self, name: &StreamName) -> bool {
        let Lookup::Running(handle) = self.registry.lookup(name) else { return false };
        handle.kill();
        true
    }

    /// Sees to it that the stream has an actor, without waiting for it.
    pub(crate) fn wake(self: &Arc<Self>, name: StreamName) {
        let context = self.clone();
        tokio::spawn(async move {
            if let Err(OpenError::Unavailable(why)) = context.open(&name, Open::Existing).await {
                tracing::debug!(%name, %why, "the stream cannot be woken now");
            }
        });
    }
}

/// A claim on a vacant name, given up when dropped.
struct Claim {
    context: Arc<Context>,
    key: Option<StreamKey>,
}

impl Claim {
    async fn start(mut self, open: Open) -> Result<(), OpenError> {
        let Some(key) = self.key.clone() else { return Ok(()) };
        let storage = &self.context.storage;
        let state = storage.load(&key.name).await.map_err(|error| unavailable(error.into()))?;
        if state.is_none() && open == Open::Existing {
            return Err(OpenError::NotFound);
        }
        if state.is_some() {
            self.context.tell(SupervisionEvent::Woken { name: key.name.clone() });
        }
        let supervisor = self.context.stream_supervisor().map_err(unavailable)?;
        let spec = child_spec(self.context.clone(), key.clone(), state, open);
        supervisor.start_child(key, spec).await.map_err(|error| match error {
            StartError::ShuttingDown => unavailable(Unavailable::ShuttingDown),
            _ => unavailable(Unavailable::Restarting),
        })?;
        self.key = None;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let _ = self.context.registry.forget(&key);
        }
    }
}

fn unavailable(why: Unavailable) -> OpenError {
    OpenError::Unavailable(why)
}

/// The first start takes the state that was loaded to see whether there is a stream; each restart
/// loads it anew.
fn child_spec(
    context: Arc<Context>,
    key: StreamKey,
    loaded: Option<StreamState>,
    open: Open,
) -> ChildSpec {
    let policy = UnlessGone(context.policies.of(&key.name));
    let period = policy.intensity().period;
    // What readers noted survives a crash of the actor and its dormancy, recorded or not.
    let known = loaded.as_ref().and_then(|state| context.deadlines.touch(&key.name, state.id));
    let known = loaded.as_ref().zip(known).map(|(state, touch)| LastTouch::of(state.id, touch));
    let last_touch = Arc::new(known.unwrap_or_default());
    // Boxed, because its place is kept as long as the stream is awake.
    let first = Arc::new(Mutex::new(Some(Box::new((loaded, open == Open::OrCreate)))));
    ChildSpec::new(key.to_string(), policy, move |supervisor| {
        let (context, key) = (context.clone(), key.clone());
        let first = first.lock().take();
        let last_touch = last_touch.clone();
        // The supervisor remembers crashes as long as there is an actor.
        let wakeful = first.is_none().then_some(period);
        async move {
            let (state, may_be_absent) = match first {
                Some(first) => *first,
                None => {
                    let state = context.storage.load(&key.name).await;
                    (state.map_err(StartError::failed)?, false)
                }
            };
            let start = Start { state, may_be_absent, last_touch, wakeful };
            start_stream(context, key, start, supervisor).await
        }
    })
}

/// The stream's policy, but for streams that end because they are gone: those are never started again,
/// whatever the policy says of a normal exit.
struct UnlessGone(Arc<dyn RestartPolicy>);

impl RestartPolicy for UnlessGone {
    fn decide(&self, incident: &Incident<'_>) -> Verdict {
        match incident.exit.is_abnormal() {
            true => self.0.decide(incident),
            false => Verdict::Stop,
        }
    }

    fn intensity(&self) -> Intensity {
        self.0.intensity()
    }
}

/// What one start of an actor begins with.
struct Start {
    state: Option<StreamState>,
    may_be_absent: bool,
    last_touch: Arc<LastTouch>,
    /// For how long not to go dormant.
    wakeful: Option<Duration>,
}

async fn start_stream(
    context: Arc<Context>,
    key: StreamKey,
    start: Start,
    supervisor: ActorCell,
) -> Result<ActorCell, StartError> {
    let Start { state, may_be_absent, last_touch, wakeful } = start;
    if let Some(state) = &state {
        context.release_lost_forks(&key.name, state);
    }
    let (sender, views) = watch::channel(View::of(None, None));
    let (ended, ending) = Ended::new();
    let gauge = Arc::new(Gauge::default());
    let arguments = Arguments {
        context: context.clone(),
        key: key.clone(),
        state,
        views: sender,
        last_touch,
        gauge: gauge.clone(),
        ending,
        may_be_absent,
        wakeful,
    };
    let (actor, _) = Stream::spawn_linked(None, Stream, arguments, supervisor).await?;
    let cell = actor.get_cell();
    // The actor has a timer of its own.
    context.deadlines.forget(&key.name);
    let pending_bytes = context.limits.pending_bytes_per_stream;
    let handle = Handle::new(actor, views, ended, gauge, pending_bytes);
    // Before anybody can find the actor, and so before anything else is told of it.
    context.tell(SupervisionEvent::Started { name: key.name.clone() });
    context.registry.running(&key, Arc::new(handle));
    Ok(cell)
}

/// Tells the registry what the supervisor does with a stream, and then everybody else.
struct RegistryKeeper(Arc<Context>);

impl Observer<StreamKey> for RegistryKeeper {
    fn event(&self, event: &Event<StreamKey>) {
        let registry = &self.0.registry;
        let name = event.key().name.clone();
        let told = match event {
            // Told by whoever starts and by the actor itself: the supervisor learns of it later.
            Event::Started { .. } => return,
            Event::StartFailed { key, error } => {
                let cause = ExitReason::StartFailed(error.to_string());
                registry.crashed(key, &cause);
                SupervisionEvent::Crashed { name, cause }
            }
            Event::Exited { key, reason, .. } if reason.is_abnormal() => {
                registry.crashed(key, reason);
                SupervisionEvent::Crashed { name, cause: reason.clone() }
            }
            // What comes of it is the next event.
            Event::Exited { .. } => return,
            Event::Restarting { key, after, restarts } => {
                registry.restarting(key, *restarts);
                SupervisionEvent::Restarting { name, after: *after, restarts: *restarts }
            }
            Event::Quarantined { key, reason } => {
                registry.quarantined(key, &reason.to_string());
                SupervisionEvent::Quarantined { name, reason: reason.clone() }
            }
            Event::Stopped { key } => {
                if !registry.forget(key) {
                    return;
                }
                // The policy keeps it down until somebody asks for it; time goes on all the same.
                let (context, gone) = (self.0.clone(), name.clone());
                tokio::spawn(async move { context.recollect_one(&gone).await });
                SupervisionEvent::Stopped { name }
            }
            Event::Escalated { key, reason } => {
                let _ = registry.forget(key);
                SupervisionEvent::Escalated { name, reason: reason.clone() }
            }
        };
        self.0.tell(told);
    }

    /// `tell` does that, in the words of streams.
    fn logs(&self) -> bool {
        true
    }
}
