//! A supervisor of children that come and go: the handle.

mod actor;
mod child;
mod children;
mod closing;
mod message;
mod restarts;

use std::fmt::{self, Display};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef};
use tokio::sync::oneshot;

use self::actor::{Arguments, DynamicActor};
use self::message::Message;
use crate::{ChildSpec, ExitReason, Observer, ShutdownReport, StartError};

/// What names a child of a [`DynamicSupervisor`].
pub trait Key: Clone + Eq + Hash + Display + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Display + Send + Sync + 'static> Key for K {}

/// OTP's DynamicSupervisor, with one difference: restarts are counted for each child on its own, and
/// a child past its intensity is quarantined instead of bringing its siblings down.
///
/// This is a handle: cheap to clone, and dropping it stops nothing. When the supervisor is gone,
/// starts are refused and everything else finds no children.
pub struct DynamicSupervisor<K: Key> {
    actor: ActorRef<Message<K>>,
}

impl<K: Key> Clone for DynamicSupervisor<K> {
    fn clone(&self) -> Self {
        Self { actor: self.actor.clone() }
    }
}

impl<K: Key> fmt::Debug for DynamicSupervisor<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DynamicSupervisor").field(&self.actor.get_id()).finish()
    }
}

impl<K: Key> DynamicSupervisor<K> {
    /// Starts a supervisor without children, linked to `parent` if there is one. `seed` decides the
    /// jitter of its backoffs.
    pub async fn start(
        observer: Arc<dyn Observer<K>>,
        seed: u64,
        parent: Option<ActorCell>,
    ) -> Result<Self, StartError> {
        let arguments = Arguments { observer, seed, supervised: parent.is_some() };
        let actor = DynamicActor::default();
        let (actor, _) = match parent {
            Some(parent) => Actor::spawn_linked(None, actor, arguments, parent).await?,
            None => Actor::spawn(None, actor, arguments).await?,
        };
        Ok(Self { actor })
    }

    /// The actor, to be returned from a [`ChildSpec`]'s start function.
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Starts a child and returns when its start function did.
    ///
    /// As in OTP a first start that fails is the caller's to handle: the child is not restarted. The
    /// start does not run in the supervisor, so a slow one delays nobody. Dropping this future does
    /// not undo the start: the child comes up supervised, and its key is taken.
    pub async fn start_child(&self, key: K, spec: ChildSpec) -> Result<ActorCell, StartError> {
        self.ask(|reply| Message::StartChild { key, spec, reply })
            .await
            .unwrap_or(Err(StartError::ShuttingDown))
    }

    /// Ends a child the way its spec says, forgets it, and returns when it is gone. Late children are
    /// stopped, then killed. Works in every state of a child; one that is starting ends after that.
    pub async fn terminate_child(&self, key: &K) -> Result<(), TerminateError> {
        self.ask(|reply| Message::Terminate { key: key.clone(), reply })
            .await
            .unwrap_or(Err(TerminateError::NotFound))
    }

    /// Starts a quarantined child with a clean history. If that fails it stays in quarantine.
    pub async fn lift_quarantine(&self, key: &K) -> Result<ActorCell, LiftError> {
        self.ask(|reply| Message::Lift { key: key.clone(), reply })
            .await
            .unwrap_or(Err(LiftError::Start(StartError::ShuttingDown)))
    }

    /// Forgets a quarantined child, so that its key is free.
    pub async fn forget(&self, key: &K) -> Result<(), ForgetError> {
        self.ask(|reply| Message::Forget { key: key.clone(), reply })
            .await
            .unwrap_or(Err(ForgetError::NotFound))
    }

    /// How many children there are, by state.
    pub async fn count_children(&self) -> ChildCounts {
        self.ask(|reply| Message::Count { reply }).await.unwrap_or_default()
    }

    /// All children, in no particular order.
    pub async fn which_children(&self) -> Vec<ChildInfo<K>> {
        self.ask(|reply| Message::Which { reply }).await.unwrap_or_default()
    }

    /// Ends all children concurrently, each as its spec asks for but with the common `deadline` from
    /// now; who is late is stopped, and a second later killed. Starts are refused from here on.
    ///
    /// A supervisor without a parent then stops. One with a parent stays, empty and closed, until its
    /// parent stops it: a permanent child that left by itself would only be restarted.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let report = self.ask(|reply| Message::Shutdown { deadline, reply }).await;
        report.unwrap_or_default()
    }

    /// Returns when the supervisor itself has ended.
    pub async fn stopped(&self) {
        // Without a timeout there is nothing to go wrong.
        let _ = self.actor.wait(None).await;
    }

    /// `None` if the supervisor is gone.
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message<K>) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.actor.cast(message(reply)).ok()?;
        answer.await.ok()
    }
}

/// A child as [`DynamicSupervisor::which_children`] sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo<K> {
    /// Its key.
    pub key: K,
    /// What it is doing.
    pub state: ChildState,
    /// How often it was restarted.
    pub restarts: u64,
    /// Why its last incarnation ended, if one did.
    pub last_exit: Option<ExitReason>,
}

/// What a child is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildState {
    /// Its start function is running for the first time, or as its quarantine is lifted.
    Starting,
    /// It is up.
    Running,
    /// It waits for its backoff, or its start function is running again.
    Restarting,
    /// It was told to end.
    Stopping,
    /// It is down until its quarantine is lifted. The reason is its last exit.
    Quarantined(ExitReason),
}

/// How many children there are, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// All of them: the keys that are taken.
    pub total: usize,
    /// Those that are up.
    pub running: usize,
    /// Those that wait for a restart or are being restarted.
    pub restarting: usize,
    /// Those in quarantine.
    pub quarantined: usize,
}

/// Why a child was not terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TerminateError {
    /// There is no such child.
    #[error("no such child")]
    NotFound,
}

/// Why a quarantine was not lifted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LiftError {
    /// There is no such child.
    #[error("no such child")]
    NotFound,
    /// The child is not in quarantine.
    #[error("not in quarantine")]
    NotQuarantined,
    /// The child could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a child was not forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// There is no such child.
    #[error("no such child")]
    NotFound,
    /// The child is not in quarantine; terminate it instead.
    #[error("not in quarantine")]
    NotQuarantined,
}
