//! The supervision tree as data, for people who watch it.

use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::{ChildCounts, ChildInfo, ChildState, ExitReason};

use crate::stream_supervisor::{Surveyed, SurveyedState, View};

/// The tree of a system at one moment: the processes below the top supervisor, in the order in which
/// they were started. The streams are counted here; [`Streamkeeper::streams`] pages through them.
///
/// [`Streamkeeper::streams`]: crate::Streamkeeper::streams
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The children of the top supervisor; empty when the system has stopped.
    pub processes: Vec<Process>,
    /// How many streams are known to the stream supervisor, by state. Dormant streams are not.
    pub streams: ChildCounts,
}

/// A child of the top supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id in the list of child specs.
    pub name: String,
    /// What it is doing.
    pub state: ChildState,
    /// How often it was restarted.
    pub restarts: u64,
    /// Why its last incarnation ended, if one did.
    pub last_exit: Option<ExitReason>,
}

/// A page of the streams that have an actor, or would if it had not crashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsPage {
    /// The streams, sorted by name.
    pub streams: Vec<StreamInfo>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<StreamName>,
}

/// One stream as a process.
///
/// The numbers are read without asking the actor, one after the other, so they may be a few messages
/// apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream.
    pub name: StreamName,
    /// What its actor is doing.
    pub state: StreamActivity,
    /// Requests that wait in its mailbox.
    pub mailbox: u64,
    /// Requests that it has decided on and whose records are not durable yet.
    pub pending_commits: usize,
    /// Long-polls that wait for news; some may have given up since.
    pub waiters: usize,
    /// Subscribers that follow it: SSE connections, [`Subscription`](crate::Subscription)s,
    /// [`Listener`](crate::Listener)s.
    pub subscribers: usize,
    /// Bytes that can be read, those of a fork's source included; `None` while it has no actor.
    pub bytes: Option<u64>,
    /// How often its actor was restarted since somebody first used the stream.
    pub restarts: u64,
    /// Why it last crashed, if it did.
    pub last_crash: Option<Arc<ExitReason>>,
}

/// What a stream's actor is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamActivity {
    /// It is started because somebody uses the stream.
    Starting,
    /// It is up.
    Running,
    /// It has crashed and is, or will be, started again.
    Restarting,
    /// It has crashed too often and is kept down.
    Quarantined {
        /// The last crash.
        reason: Arc<str>,
    },
}

/// A stream that is kept down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedStream {
    /// The stream.
    pub name: StreamName,
    /// Its last crash.
    pub reason: Arc<str>,
}

impl Process {
    pub(crate) fn of(child: ChildInfo<String>) -> Self {
        let ChildInfo { key, state, restarts, last_exit } = child;
        Self { name: key, state, restarts, last_exit }
    }
}

impl StreamInfo {
    pub(crate) fn of(name: StreamName, surveyed: Surveyed) -> Self {
        let Surveyed { state, restarts, last_crash } = surveyed;
        let mut info = Self {
            name,
            state: StreamActivity::Starting,
            mailbox: 0,
            pending_commits: 0,
            waiters: 0,
            subscribers: 0,
            bytes: None,
            restarts,
            last_crash,
        };
        match state {
            SurveyedState::Starting => {}
            SurveyedState::Restarting => info.state = StreamActivity::Restarting,
            SurveyedState::Quarantined(reason) => {
                info.state = StreamActivity::Quarantined { reason };
            }
            SurveyedState::Running(handle) => {
                info.state = StreamActivity::Running;
                let gauge = handle.gauge();
                info.mailbox = gauge.mailbox();
                info.pending_commits = gauge.commits();
                info.waiters = gauge.waiters();
                info.subscribers = gauge.subscribers();
                info.bytes = match &*handle.view() {
                    View::Live(live) => Some(live.tail.saturating_sub(live.earliest)),
                    View::Absent | View::SoftDeleted => None,
                };
            }
        }
        info
    }
}
