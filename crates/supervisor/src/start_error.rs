//! Why a child, or a supervisor, was not started.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

use ractor::SpawnErr;

/// Why a child, or a supervisor, was not started.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The key is taken: by a child that runs, starts, waits for its restart or is quarantined.
    #[error("already started")]
    AlreadyStarted,
    /// The supervisor is shutting down, or gone.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The child refused to start. An error that its `pre_start` returned can be downcast here.
    #[error("{0}")]
    Failed(Arc<dyn Error + Send + Sync>),
    /// The start function panicked. (A panic inside `pre_start` is caught by ractor and is `Failed`.)
    #[error("the start panicked: {0}")]
    Panicked(String),
}

impl StartError {
    /// A failure with its cause.
    pub fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(Arc::from(cause.into()))
    }

    /// The cause, if it is an `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(cause) => cause.downcast_ref(),
            _ => None,
        }
    }

    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::Panicked(message)
    }
}

impl From<SpawnErr> for StartError {
    fn from(error: SpawnErr) -> Self {
        match error {
            // A nested supervisor's own StartError comes out as it went in.
            SpawnErr::StartupFailed(cause) => match cause.downcast::<StartError>() {
                Ok(error) => *error,
                Err(cause) => Self::Failed(Arc::from(cause)),
            },
            other => Self::failed(other),
        }
    }
}
