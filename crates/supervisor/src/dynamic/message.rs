//! All that a dynamic supervisor's mailbox can hold.

use std::time::Duration;

use ractor::ActorCell;
use tokio::sync::oneshot;

use super::{ChildCounts, ChildInfo, ForgetError, LiftError, TerminateError};
use crate::{ChildSpec, ShutdownReport, StartError};

pub(super) type StartReply = oneshot::Sender<Result<ActorCell, StartError>>;
pub(super) type LiftReply = oneshot::Sender<Result<ActorCell, LiftError>>;
pub(super) type TerminateReply = oneshot::Sender<Result<(), TerminateError>>;

pub(super) enum Message<K> {
    // From the handle.
    StartChild { key: K, spec: ChildSpec, reply: StartReply },
    Terminate { key: K, reply: TerminateReply },
    Lift { key: K, reply: LiftReply },
    Forget { key: K, reply: oneshot::Sender<Result<(), ForgetError>> },
    Count { reply: oneshot::Sender<ChildCounts> },
    Which { reply: oneshot::Sender<Vec<ChildInfo<K>>> },
    Shutdown { deadline: Duration, reply: oneshot::Sender<ShutdownReport> },
    // From our own tasks. One whose generation is not the child's any more is stale.
    StartDone { key: K, generation: u64, result: Result<ActorCell, StartError> },
    BackoffDone { key: K, generation: u64 },
    Reaped { key: K, generation: u64 },
    Swept { report: ShutdownReport },
    Deadline,
}
