//! The supervisor of the streams: starts a stream's actor on demand and keeps the registry true.

mod census;
mod ended;
mod handle;
mod recent;
mod registry;
pub(crate) mod stream;
mod touch;
mod view;
mod waiters;

use std::sync::Arc;

use parking_lot::Mutex;
use ractor::{Actor, ActorCell};
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;
use streamkeeper_supervisor::{
    ChildSpec, DynamicSupervisor, Event, Incident, Intensity, Observer, RestartPolicy, StartError,
    Verdict,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::handle::{CallError, Handle};
pub(crate) use self::registry::{Registry, StreamKey};
pub(crate) use self::view::{Live, View};
pub(crate) use self::waiters::Waiter;

use self::ended::Ended;
use self::recent::Recent;
use self::registry::Lookup;
use self::stream::{Arguments, Stream};
pub(crate) use self::touch::Touch;
use crate::Unavailable;
use crate::context::Context;

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
    tokio::spawn(context.recollect());
    Ok(supervisor.cell())
}

impl Context {
    /// The actor of a stream; starts one if there is none.
    pub(crate) async fn open(
        self: &Arc<Self>,
        name: &StreamName,
        open: Open,
    ) -> Result<Arc<Handle>, OpenError> {
        let patience = Instant::now() + self.limits.restart_patience;
        loop {
            match self.registry.lookup(name) {
                Lookup::Running(handle) => return Ok(handle),
                Lookup::Quarantined(reason) => {
                    return Err(OpenError::Unavailable(Unavailable::Quarantined { reason }));
                }
                Lookup::Starting(mut gate) => {
                    // The gate never changes, it closes.
                    if timeout_at(patience, gate.changed()).await.is_err() {
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
    let policy = UnlessGone(context.policy.clone());
    // What readers noted survives a crash of the actor and its dormancy, recorded or not.
    let known = loaded.as_ref().and_then(|state| context.deadlines.touch(&key.name, state.id));
    let touch = known.unwrap_or_default();
    let first = Arc::new(Mutex::new(Some((loaded, open == Open::OrCreate))));
    ChildSpec::new(key.to_string(), policy, move |supervisor| {
        let (context, key) = (context.clone(), key.clone());
        let first = first.lock().take();
        let touch = touch.clone();
        async move {
            let (state, may_be_absent) = match first {
                Some(first) => first,
                None => {
                    let state = context.storage.load(&key.name).await;
                    (state.map_err(StartError::failed)?, false)
                }
            };
            start_stream(context, key, state, may_be_absent, touch, supervisor).await
        }
    })
}

/// The system's policy, but for streams that end because they are gone: those are never started again,
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

async fn start_stream(
    context: Arc<Context>,
    key: StreamKey,
    state: Option<StreamState>,
    may_be_absent: bool,
    touch: Arc<Touch>,
    supervisor: ActorCell,
) -> Result<ActorCell, StartError> {
    if let Some(state) = &state {
        context.release_lost_forks(&key.name, state);
    }
    let nothing = Recent::new(context.limits.recent_bytes_per_stream);
    let (sender, views) = watch::channel(View::of(None, &nothing));
    let (ended, ending) = Ended::new();
    let arguments = Arguments {
        context: context.clone(),
        key: key.clone(),
        state,
        views: sender,
        touch: touch.clone(),
        ending,
        may_be_absent,
    };
    let (actor, _) = Stream::spawn_linked(None, Stream, arguments, supervisor).await?;
    let cell = actor.get_cell();
    // The actor has a timer of its own.
    context.deadlines.forget(&key.name);
    let handle = Handle::new(actor, views, touch, ended, context.limits.pending_bytes_per_stream);
    context.registry.running(&key, Arc::new(handle));
    Ok(cell)
}

/// Tells the registry what the supervisor does with a stream.
struct RegistryKeeper(Arc<Context>);

impl Observer<StreamKey> for RegistryKeeper {
    fn event(&self, event: &Event<StreamKey>) {
        let registry = &self.0.registry;
        match event {
            Event::Restarting { key, .. } => registry.restarting(key),
            Event::Quarantined { key, reason } => registry.quarantined(key, &reason.to_string()),
            Event::Stopped { key } => {
                if registry.forget(key) {
                    // The policy keeps it down until somebody asks for it; time goes on all the same.
                    tokio::spawn(self.0.clone().recollect_one(key.name.clone()));
                }
            }
            Event::Escalated { key, .. } => drop(registry.forget(key)),
            Event::Started { .. } | Event::StartFailed { .. } | Event::Exited { .. } => {}
        }
    }
}

/// The messages at hand of a stream without an actor: none.
pub(crate) fn no_recent() -> Arc<Recent> {
    Recent::new(0)
}
