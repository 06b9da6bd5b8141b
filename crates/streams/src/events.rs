//! What happens to streams as processes: one enum, told to listeners, to the log and to counters.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream::{BoxStream, StreamExt, unfold};
use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::ExitReason;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How many events a listener may lag behind before it misses some.
pub const EVENT_BACKLOG: usize = 1024;

/// One change in the life of a stream's actor.
///
/// Each is also one event in the log (`tracing`) and one step of a counter of the [`metrics`] crate,
/// whose name is in the table. Where a cause is told, its [kind](ExitReason::kind) is the counter's
/// label `cause`.
///
/// | event | counter | level |
/// |---|---|---|
/// | `Started` | `streamkeeper_stream_started_total` | debug |
/// | `Crashed` | `streamkeeper_stream_crashed_total{cause}` | warn |
/// | `Restarting` | `streamkeeper_stream_restarting_total` | info |
/// | `Quarantined` | `streamkeeper_stream_quarantined_total{cause}` | error |
/// | `Escalated` | `streamkeeper_stream_escalated_total{cause}` | error |
/// | `Dormant` | `streamkeeper_stream_dormant_total` | debug |
/// | `Woken` | `streamkeeper_stream_woken_total` | debug |
/// | `Stopped` | `streamkeeper_stream_stopped_total` | debug |
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::StreamExt;
/// use streamkeeper::{CreateRequest, StreamName, Streamkeeper, SupervisionEvent};
///
/// let keeper = Streamkeeper::builder().start().await?;
/// let mut events = keeper.events();
/// let name = StreamName::new("chat/1")?;
/// keeper.create(&name, CreateRequest::text()).await?;
/// assert_eq!(events.next().await, Some(SupervisionEvent::Started { name }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisionEvent {
    /// The stream's actor is up, for the first time or again.
    Started {
        /// The stream.
        name: StreamName,
    },
    /// The actor ended though nobody wanted that, or could not be started.
    Crashed {
        /// The stream.
        name: StreamName,
        /// Why.
        cause: ExitReason,
    },
    /// The actor will be started again.
    Restarting {
        /// The stream.
        name: StreamName,
        /// The wait before that.
        after: Duration,
        /// The restarts of this actor, this one included.
        restarts: u64,
    },
    /// The stream stays down until [`lift_quarantine`](crate::Streamkeeper::lift_quarantine).
    Quarantined {
        /// The stream.
        name: StreamName,
        /// The last crash.
        reason: ExitReason,
    },
    /// The stream's policy made the supervisor give up: every stream is started anew on demand.
    Escalated {
        /// The stream.
        name: StreamName,
        /// The last crash.
        reason: ExitReason,
    },
    /// Nobody used the stream for a while, so it has no actor until somebody does.
    Dormant {
        /// The stream.
        name: StreamName,
    },
    /// Somebody uses a stream that exists and has no actor, because it was dormant or the system has
    /// just begun. `Started` follows.
    Woken {
        /// The stream.
        name: StreamName,
    },
    /// The stream has no actor any more: it was deleted, has expired, its policy let it go, or the system
    /// shuts down.
    Stopped {
        /// The stream.
        name: StreamName,
    },
    /// The listener was too slow, and so many events are lost to it. Told to that listener only.
    Missed(u64),
}

impl SupervisionEvent {
    /// The stream it is about.
    pub fn name(&self) -> Option<&StreamName> {
        match self {
            Self::Started { name }
            | Self::Crashed { name, .. }
            | Self::Restarting { name, .. }
            | Self::Quarantined { name, .. }
            | Self::Escalated { name, .. }
            | Self::Dormant { name }
            | Self::Woken { name }
            | Self::Stopped { name } => Some(name),
            Self::Missed(_) => None,
        }
    }

    /// Writes the event to the log and counts it.
    fn record(&self) {
        match self {
            Self::Started { name } => {
                tracing::debug!(stream = %name, "stream started");
                metrics::counter!("streamkeeper_stream_started_total").increment(1);
            }
            Self::Crashed { name, cause } => {
                let kind = cause.kind();
                tracing::warn!(stream = %name, cause = kind, reason = %cause, "stream crashed");
                metrics::counter!("streamkeeper_stream_crashed_total", "cause" => kind)
                    .increment(1);
            }
            Self::Restarting { name, after, restarts } => {
                tracing::info!(stream = %name, ?after, restarts, "stream restarting");
                metrics::counter!("streamkeeper_stream_restarting_total").increment(1);
            }
            Self::Quarantined { name, reason } => {
                let kind = reason.kind();
                tracing::error!(stream = %name, cause = kind, %reason, "stream quarantined");
                metrics::counter!("streamkeeper_stream_quarantined_total", "cause" => kind)
                    .increment(1);
            }
            Self::Escalated { name, reason } => {
                let kind = reason.kind();
                tracing::error!(stream = %name, cause = kind, %reason, "stream escalated");
                metrics::counter!("streamkeeper_stream_escalated_total", "cause" => kind)
                    .increment(1);
            }
            Self::Dormant { name } => {
                tracing::debug!(stream = %name, "stream dormant");
                metrics::counter!("streamkeeper_stream_dormant_total").increment(1);
            }
            Self::Woken { name } => {
                tracing::debug!(stream = %name, "stream woken");
                metrics::counter!("streamkeeper_stream_woken_total").increment(1);
            }
            Self::Stopped { name } => {
                tracing::debug!(stream = %name, "stream stopped");
                metrics::counter!("streamkeeper_stream_stopped_total").increment(1);
            }
            Self::Missed(_) => {}
        }
    }
}

impl Context {
    /// Tells an event to the log, the counters and whoever listens.
    pub(crate) fn tell(&self, event: SupervisionEvent) {
        event.record();
        // Without a listener this looks at a number and no more.
        let _ = self.events.sender.send(event);
    }
}

/// Where events are told.
#[derive(Debug)]
pub(crate) struct EventBus {
    sender: broadcast::Sender<SupervisionEvent>,
    ended: CancellationToken,
}

impl Default for EventBus {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(EVENT_BACKLOG), ended: CancellationToken::new() }
    }
}

impl EventBus {
    /// The events from now on.
    pub(crate) fn listen(&self) -> Events {
        let listener = Ears { receiver: self.sender.subscribe(), ended: self.ended.clone() };
        Events(unfold(listener, |mut ears| async { Some((ears.hear().await?, ears)) }).boxed())
    }

    /// There will be no more events.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }
}

struct Ears {
    receiver: broadcast::Receiver<SupervisionEvent>,
    ended: CancellationToken,
}

impl Ears {
    async fn hear(&mut self) -> Option<SupervisionEvent> {
        tokio::select! {
            biased;
            event = self.receiver.recv() => match event {
                Ok(event) => Some(event),
                Err(RecvError::Lagged(missed)) => Some(SupervisionEvent::Missed(missed)),
                Err(RecvError::Closed) => None,
            },
            () = self.ended.cancelled() => match self.receiver.try_recv() {
                Ok(event) => Some(event),
                Err(TryRecvError::Lagged(missed)) => Some(SupervisionEvent::Missed(missed)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => None,
            },
        }
    }
}

/// The events of a system from the moment on at which [`Streamkeeper::events`] was called.
///
/// Ends when the system has shut down. A listener that lags by more than [`EVENT_BACKLOG`] events is
/// told how many it has missed, and goes on with those that are left.
///
/// [`Streamkeeper::events`]: crate::Streamkeeper::events
pub struct Events(BoxStream<'static, SupervisionEvent>);

impl Stream for Events {
    type Item = SupervisionEvent;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<SupervisionEvent>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
