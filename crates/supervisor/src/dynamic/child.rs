//! One child of a dynamic supervisor: its spec, its history and the phase it is in.

use ractor::ActorCell;
use tokio::task::AbortHandle;

use super::message::{LiftReply, StartReply, TerminateReply};
use super::{ChildState, LiftError};
use crate::history::History;
use crate::stopping::Leaver;
use crate::{ChildSpec, ExitReason, StartError};

pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) generation: u64,
    pub(super) phase: Phase,
    pub(super) history: History,
}

pub(super) enum Phase {
    Starting { task: AbortHandle, purpose: Purpose, terminate: Vec<TerminateReply> },
    Running { cell: ActorCell },
    Restarting,
    Stopping { cell: ActorCell, replies: Vec<TerminateReply> },
    Quarantined { reason: ExitReason },
}

/// Why a start is under way, and who waits for it.
pub(super) enum Purpose {
    First(StartReply),
    Again,
    Lift(LiftReply),
}

impl Purpose {
    pub(super) fn answer(self, result: Result<ActorCell, StartError>) {
        // Whoever asked may have left meanwhile.
        match self {
            Self::First(reply) => drop(reply.send(result)),
            Self::Lift(reply) => drop(reply.send(result.map_err(LiftError::from))),
            Self::Again => {}
        }
    }
}

/// Tells all who asked that a child is gone.
pub(super) fn terminated(replies: Vec<TerminateReply>) {
    for reply in replies {
        let _ = reply.send(Ok(()));
    }
}

impl Child {
    pub(super) fn state(&self) -> ChildState {
        match &self.phase {
            Phase::Starting { purpose: Purpose::Again, .. } | Phase::Restarting => {
                ChildState::Restarting
            }
            Phase::Starting { .. } => ChildState::Starting,
            Phase::Running { .. } => ChildState::Running,
            Phase::Stopping { .. } => ChildState::Stopping,
            Phase::Quarantined { reason } => ChildState::Quarantined(reason.clone()),
        }
    }

    /// The child as one to be ended, if it is up.
    pub(super) fn leaver(&self, key: &impl ToString) -> Option<Leaver> {
        match &self.phase {
            Phase::Running { cell } | Phase::Stopping { cell, .. } => Some(Leaver {
                name: key.to_string(),
                cell: cell.clone(),
                shutdown: self.spec.shutdown,
            }),
            _ => None,
        }
    }
}
