//! All that a static supervisor's mailbox can hold.

use std::time::Duration;

use ractor::ActorCell;
use tokio::sync::oneshot;

use crate::{ChildInfo, ShutdownReport, StartError};

pub(super) enum Message {
    // From the handle.
    Which { reply: oneshot::Sender<Vec<ChildInfo<String>>> },
    Shutdown { deadline: Duration, reply: oneshot::Sender<ShutdownReport> },
    // From our own tasks.
    ChildStarted { place: usize, generation: u64, cell: ActorCell },
    StartFailed { place: usize, error: StartError },
    JobDone { job: u64, places: Vec<usize> },
    JobsOver,
    Closed { report: ShutdownReport },
}
