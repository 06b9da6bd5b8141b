//! Why a child ended, and the one place that reads it from ractor's supervision events.

use std::fmt;

use ractor::{ActorProcessingErr, SupervisionEvent};

/// Why a child ended, or why it never began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// It stopped on its own terms (OTP's `normal`).
    Normal,
    /// It was asked to stop or drained (OTP's `shutdown` and `{shutdown, Reason}`).
    Shutdown,
    /// A kill signal ended it, without `post_stop`.
    Killed,
    /// It panicked, or returned an error that is not a [`ChildFailure`]: ractor reports both alike.
    Panicked(String),
    /// It returned a [`ChildFailure`].
    Failed(String),
    /// The task that ran it was aborted from outside.
    Cancelled,
    /// It could not be started again.
    StartFailed(String),
}

impl ExitReason {
    /// Whether a transient child is restarted after this: everything but a normal exit and a shutdown.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown)
    }

    /// The variant as a stable lowercase word, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown => "shutdown",
            Self::Killed => "killed",
            Self::Panicked(_) => "panicked",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
            Self::StartFailed(_) => "start_failed",
        }
    }

    /// The exit that `event` reports, or `None` if it reports something else.
    pub fn from_event(event: &SupervisionEvent) -> Option<Self> {
        match event {
            SupervisionEvent::ActorTerminated(_, _, reason) => Some(match reason.as_deref() {
                None => Self::Normal,
                Some("killed") => Self::Killed,
                Some("actor_task_cancelled") => Self::Cancelled,
                // "Drained", or whatever reason somebody gave with the request to stop.
                Some(_) => Self::Shutdown,
            }),
            SupervisionEvent::ActorFailed(_, error) => Some(Self::from_error(error)),
            _ => None,
        }
    }

    fn from_error(error: &ActorProcessingErr) -> Self {
        match error.downcast_ref::<ChildFailure>() {
            Some(failure) => Self::Failed(failure.to_string()),
            None => Self::Panicked(error.to_string()),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Failed(message) => write!(f, "failed: {message}"),
            Self::StartFailed(message) => write!(f, "start failed: {message}"),
            other => f.write_str(other.kind()),
        }
    }
}

/// The error by which an actor crashes on purpose.
///
/// ractor reports a panic and an `Err` from a callback alike. An actor that returns this type is seen
/// as [`ExitReason::Failed`]; any other error cannot be told from a panic and is
/// [`ExitReason::Panicked`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChildFailure(String);

impl ChildFailure {
    /// A failure with its cause, as it will be logged and handed to the restart policy.
    pub fn new(cause: impl fmt::Display) -> Self {
        Self(cause.to_string())
    }
}
