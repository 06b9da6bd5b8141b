//! What a supervisor must know about a child: how to start it, how to stop it, when to restart it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ractor::{Actor, ActorCell};

use crate::{RestartPolicy, StartError};

/// Starts a child that is linked to the supervisor whose cell is passed in.
pub type StartFn =
    dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, StartError>> + Send + Sync;

/// How a supervisor asks a child to end. One that is late is stopped, then killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// It answers what is in its mailbox, then `post_stop` runs.
    Drain {
        /// How long it may take.
        timeout: Duration,
    },
    /// It finishes the current message, then `post_stop` runs. Queued messages are lost.
    Stop {
        /// How long it may take.
        timeout: Duration,
    },
    /// It ends at its next await point, without `post_stop`.
    BrutalKill,
}

impl Shutdown {
    /// How long the child may take; zero for a brutal kill.
    pub fn timeout(self) -> Duration {
        match self {
            Self::Drain { timeout } | Self::Stop { timeout } => timeout,
            Self::BrutalKill => Duration::ZERO,
        }
    }
}

impl Default for Shutdown {
    /// Drains for at most 5 s, OTP's default for a worker.
    fn default() -> Self {
        Self::Drain { timeout: Duration::from_secs(5) }
    }
}

/// OTP's child specification.
#[derive(Clone)]
pub struct ChildSpec {
    /// The name of the child within a static supervisor. A dynamic supervisor knows its children by
    /// their keys and does not read it.
    pub id: String,
    /// What to do when the child ends.
    pub policy: Arc<dyn RestartPolicy>,
    /// How to end it.
    pub shutdown: Shutdown,
    /// How to start it. It runs in a task of its own, so it may take its time.
    pub start: Arc<StartFn>,
}

impl ChildSpec {
    /// A spec from an async closure, with the default [`Shutdown`]. The closure gets the
    /// supervisor's cell and must `spawn_linked` the child to it.
    pub fn new<F, Fut>(id: impl Into<String>, policy: impl RestartPolicy, start: F) -> Self
    where
        F: Fn(ActorCell) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ActorCell, StartError>> + Send + 'static,
    {
        Self {
            id: id.into(),
            policy: Arc::new(policy),
            shutdown: Shutdown::default(),
            start: Arc::new(move |supervisor| Box::pin(start(supervisor))),
        }
    }

    /// A spec for an actor: `make` gives the actor and its arguments anew for each start.
    pub fn actor<A, F>(id: impl Into<String>, policy: impl RestartPolicy, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    {
        Self::new(id, policy, move |supervisor| {
            let (actor, arguments) = make();
            async move {
                let (child, _) = A::spawn_linked(None, actor, arguments, supervisor).await?;
                Ok(child.get_cell())
            }
        })
    }

    /// The same with another shutdown.
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        Self { shutdown, ..self }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}
