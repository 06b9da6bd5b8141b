//! What a stream's actor understands, and all of it.

use std::sync::Arc;

use streamkeeper_protocol::stream::{
    Append, Compaction, Create, Cut, Fork, ForkGrant, ForkRejection, StreamId, StreamState,
};
use streamkeeper_storage::StorageError;
use tokio::sync::{oneshot, watch};

use super::super::view::View;
use super::super::waiters::Waiter;
use crate::limits::Permit;
use crate::retention_supervisor::Dropped;
use crate::{AppendError, Appended, CreateError, Created, DeleteError, Unavailable};

/// Where an answer goes.
pub(crate) type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// A message to a stream's actor. A request carries its reply and its permits.
pub(crate) enum Message {
    /// Create the stream, or confirm that it is as described.
    Create { create: Box<Create>, permits: Permits, reply: Reply<Created, CreateError> },
    /// Append, close, or both.
    Append { append: Arc<Append>, permits: Permits, reply: Reply<Appended, AppendError> },
    /// Delete the stream.
    Delete { reply: Reply<(), DeleteError> },
    /// Take a reference on this stream for a fork.
    Fork { fork: Box<Fork>, reply: Reply<Box<ForkGrant>, ForkError> },
    /// Let go of a fork's reference.
    Release { fork: StreamId, reply: Reply<(), Unavailable> },
    /// Tell what is to be dropped, if anything. Answered when all that the plan tells of is durable.
    PlanCompaction { reply: Reply<Option<Compaction>, Unavailable> },
    /// Drop everything before a message boundary of this life; tells what went, if anything.
    Truncate { id: StreamId, cut: Cut, reply: Reply<Option<Dropped>, Unavailable> },
    /// Record the last use.
    Touch,
    /// Wait for news of the stream.
    Wait(Waiter),
    /// Follow the stream.
    Subscribe { reply: oneshot::Sender<Follow> },
    /// Let those who follow the stream look around: live reads are to end.
    Stir,
    /// Storage has told outcomes of commits that are in flight.
    Committed,
    /// What storage holds, after it has refused a record that others were decided upon.
    Reloaded(Box<Result<Option<StreamState>, StorageError>>),
    /// Nobody has used the stream for a while: go dormant, unless somebody needs it after all.
    Doze,
    /// The TTL timer has fired, or a reader has found the stream expired.
    Expire,
}

impl Message {
    /// Whether it is a caller's request, which waits for an answer, and no note to the actor.
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Self::Create { .. }
            | Self::Append { .. }
            | Self::Delete { .. }
            | Self::Fork { .. }
            | Self::Release { .. }
            | Self::PlanCompaction { .. }
            | Self::Truncate { .. }
            | Self::Wait(_)
            | Self::Subscribe { .. } => true,
            Self::Touch
            | Self::Stir
            | Self::Committed
            | Self::Reloaded(_)
            | Self::Expire
            | Self::Doze => false,
        }
    }

    /// Answers a request to write without looking at it; gives any other message back.
    pub(crate) fn turn_away(self, why: &Unavailable) -> Option<Self> {
        match self {
            Self::Create { reply, .. } => drop(reply.send(Err(why.clone().into()))),
            Self::Append { reply, .. } => drop(reply.send(Err(why.clone().into()))),
            Self::Delete { reply } => drop(reply.send(Err(why.clone().into()))),
            Self::Fork { reply, .. } => drop(reply.send(Err(why.clone().into()))),
            Self::Release { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::PlanCompaction { reply } => drop(reply.send(Err(why.clone()))),
            Self::Truncate { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Touch | Self::Stir | Self::Expire | Self::Doze => {}
            other => return Some(other),
        }
        None
    }
}

/// The permits of one request: the system's and the stream's.
#[derive(Debug)]
pub(crate) struct Permits {
    pub(crate) _system: Permit,
    pub(crate) _stream: Permit,
}

/// What a subscriber follows: every view, latest first; and the lease that counts it.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) _lease: Arc<()>,
}

/// Why a source does not let itself be forked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForkError {
    #[error(transparent)]
    Rejected(#[from] ForkRejection),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
