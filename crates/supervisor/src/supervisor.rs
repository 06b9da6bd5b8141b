//! A supervisor of a fixed, ordered list of children: the handle.

mod actor;
mod closing;
mod message;
mod slots;
mod strategy;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef};
use tokio::sync::oneshot;

use self::actor::{Arguments, SupervisorActor};
use self::message::Message;
pub use self::strategy::Strategy;
use crate::{ChildInfo, ChildSpec, Intensity, Observer, ShutdownReport, StartError};

/// OTP's supervisor flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SupervisorFlags {
    /// Who is restarted together with a child that ended.
    pub strategy: Strategy,
    /// The restarts of all children together that are tolerated; one more and the supervisor gives
    /// up. Each child's policy is asked first.
    pub intensity: Intensity,
    /// Decides the jitter of backoffs.
    pub seed: u64,
}

/// OTP's supervisor: starts its children in the order of the list and stops them in reverse.
///
/// Past its intensity, or when a child's policy says [`Escalate`](crate::Verdict::Escalate), it stops
/// its children and fails, and its parent decides. It has no quarantine: its children are there
/// because the others need them, so [`Quarantine`](crate::Verdict::Quarantine) escalates too. A child
/// whose policy says [`Stop`](crate::Verdict::Stop) is over, and no sibling's restart brings it back.
///
/// This is a handle: cheap to clone, and dropping it stops nothing.
#[derive(Clone)]
pub struct Supervisor {
    actor: ActorRef<Message>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Supervisor").field(&self.actor.get_id()).finish()
    }
}

impl Supervisor {
    /// Starts the children one after the other, and returns when all are up. If one fails, those
    /// before it are stopped in reverse order and its error is returned. Two children of one id are
    /// [`StartError::AlreadyStarted`]. Dropping this future kills what has been started.
    pub async fn start(
        flags: SupervisorFlags,
        children: Vec<ChildSpec>,
        observer: Arc<dyn Observer<String>>,
        parent: Option<ActorCell>,
    ) -> Result<Self, StartError> {
        let arguments = Arguments { flags, children, observer, supervised: parent.is_some() };
        let (actor, _) = match parent {
            Some(parent) => Actor::spawn_linked(None, SupervisorActor, arguments, parent).await?,
            None => Actor::spawn(None, SupervisorActor, arguments).await?,
        };
        Ok(Self { actor })
    }

    /// The actor, to be returned from a [`ChildSpec`]'s start function.
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// The children in the order of the list, without those that are over.
    pub async fn which_children(&self) -> Vec<ChildInfo<String>> {
        self.ask(|reply| Message::Which { reply }).await.unwrap_or_default()
    }

    /// Ends the children in reverse order, each within its own timeout and all within `deadline`; who
    /// is late is stopped, and a second later killed.
    ///
    /// A supervisor without a parent then stops. One with a parent stays, empty, until its parent
    /// stops it: a permanent child that left by itself would only be restarted.
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
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.actor.cast(message(reply)).ok()?;
        answer.await.ok()
    }
}
