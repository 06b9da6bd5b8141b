//! The handle of the retention scheduler.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Streamkeeper;
use crate::context::Context;
use crate::retention_supervisor::scheduler::Message;
use crate::{RetentionStatus, Unavailable};

/// The process that sees to it that streams drop what their policies let go
/// ([`Streamkeeper::retention`]). Cheap to clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::num::NonZeroU64;
/// use streamkeeper::{AppendRequest, CreateRequest, ReadFrom, Retention, StreamName, Streamkeeper};
///
/// let keeper = Streamkeeper::builder().start().await?;
/// let name = StreamName::new("sensor/1")?;
/// let retention = Retention { max_messages: NonZeroU64::new(2), ..Default::default() };
/// keeper.create(&name, CreateRequest { retention: Some(retention), ..Default::default() }).await?;
/// for value in ["20.1", "20.4", "20.2"] {
///     let content_type = Some(Default::default());
///     let append = AppendRequest { content_type, body: value.into(), ..Default::default() };
///     keeper.append(&name, append).await?;
/// }
///
/// // It would look by itself within Limits::retention_interval.
/// keeper.retention().check_now().await?;
/// let page = keeper.read(&name, ReadFrom::Start, 1 << 20).await?;
/// assert_eq!(page.payloads(), ["20.4", "20.2"]);
/// assert_eq!(keeper.retention().status().await?.dropped_messages, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RetentionScheduler {
    context: Arc<Context>,
}

impl Streamkeeper {
    /// The scheduler of retention.
    pub fn retention(&self) -> RetentionScheduler {
        RetentionScheduler { context: self.context.clone() }
    }
}

impl RetentionScheduler {
    /// Looks now for streams that have something to drop, and returns when each has dropped it or
    /// failed to; [`status`](Self::status) tells which.
    ///
    /// Fails with [`Unavailable::Restarting`] if the scheduler crashes meanwhile, and with
    /// [`Unavailable::ShuttingDown`].
    pub async fn check_now(&self) -> Result<(), Unavailable> {
        self.ask(Message::Check).await
    }

    /// What retention does and has done. Fails as [`check_now`](Self::check_now) does.
    pub async fn status(&self) -> Result<RetentionStatus, Unavailable> {
        self.ask(Message::Status).await
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, Unavailable> {
        self.context.retention.ask(message).await.ok_or_else(|| {
            match self.context.closing.is_cancelled() {
                true => Unavailable::ShuttingDown,
                false => Unavailable::Restarting,
            }
        })
    }
}

impl fmt::Debug for RetentionScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetentionScheduler").finish_non_exhaustive()
    }
}
