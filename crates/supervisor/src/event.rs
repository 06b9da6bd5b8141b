//! What happens to children, as events for an observer and as tracing events.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ractor::ActorCell;

use crate::{ExitReason, StartError};

/// One change in the life of a child.
#[derive(Debug, Clone)]
pub enum Event<K> {
    /// The child was started, for the first time or again. The caller of `start_child` gets its
    /// answer after the observer saw this.
    Started {
        /// The child.
        key: K,
        /// Grows with each start within one supervisor: of two incarnations the newer has more.
        generation: u64,
        /// The new incarnation.
        cell: ActorCell,
    },
    /// A start, the first or a later one, failed.
    StartFailed {
        /// The child.
        key: K,
        /// Why.
        error: StartError,
    },
    /// An incarnation ended.
    Exited {
        /// The child.
        key: K,
        /// The incarnation that ended.
        generation: u64,
        /// Why.
        reason: ExitReason,
    },
    /// The child will be started again.
    Restarting {
        /// The child.
        key: K,
        /// The wait before that.
        after: Duration,
        /// Its restarts, this one included.
        restarts: u64,
    },
    /// The child stays down until its quarantine is lifted.
    Quarantined {
        /// The child.
        key: K,
        /// The last exit.
        reason: ExitReason,
    },
    /// The child is over and forgotten.
    Stopped {
        /// The child.
        key: K,
    },
    /// The supervisor gives up because of this child: it stops all others and fails.
    Escalated {
        /// The child.
        key: K,
        /// Its last exit.
        reason: ExitReason,
    },
}

impl<K> Event<K> {
    /// The child it is about.
    pub fn key(&self) -> &K {
        match self {
            Self::Started { key, .. }
            | Self::StartFailed { key, .. }
            | Self::Exited { key, .. }
            | Self::Restarting { key, .. }
            | Self::Quarantined { key, .. }
            | Self::Stopped { key }
            | Self::Escalated { key, .. } => key,
        }
    }
}

impl<K: Display> Event<K> {
    fn trace(&self) {
        let child = self.key();
        match self {
            Self::Started { generation, .. } => {
                tracing::debug!(%child, generation, "child started");
            }
            Self::StartFailed { error, .. } => {
                tracing::warn!(%child, %error, "child start failed");
            }
            Self::Exited { generation, reason, .. } if reason.is_abnormal() => {
                tracing::warn!(%child, generation, cause = reason.kind(), %reason, "child exited");
            }
            Self::Exited { generation, reason, .. } => {
                tracing::debug!(%child, generation, cause = reason.kind(), "child exited");
            }
            Self::Restarting { after, restarts, .. } => {
                tracing::info!(%child, ?after, restarts, "child restarting");
            }
            Self::Quarantined { reason, .. } => {
                tracing::error!(%child, cause = reason.kind(), %reason, "child quarantined");
            }
            Self::Stopped { .. } => tracing::debug!(%child, "child stopped"),
            Self::Escalated { reason, .. } => {
                tracing::error!(%child, cause = reason.kind(), %reason, "supervisor escalates");
            }
        }
    }
}

/// Sees every event, in order, inside the supervisor: it must not block.
///
/// Any `Fn(&Event<K>)` is one.
pub trait Observer<K>: Send + Sync + 'static {
    /// Called once for each event. A panic is logged and goes no further.
    fn event(&self, event: &Event<K>);

    /// Whether it writes events to the log by itself; otherwise the supervisor does.
    fn logs(&self) -> bool {
        false
    }
}

impl<K, F: Fn(&Event<K>) + Send + Sync + 'static> Observer<K> for F {
    fn event(&self, event: &Event<K>) {
        self(event);
    }
}

/// The observer that does not look.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl<K> Observer<K> for NoObserver {
    fn event(&self, _: &Event<K>) {}
}

/// Logs an event, unless the observer does, and shows it to the observer, whose panic must not fell the tree.
pub(crate) fn emit<K: Display + 'static>(observer: &dyn Observer<K>, event: &Event<K>) {
    if !observer.logs() {
        event.trace();
    }
    if catch_unwind(AssertUnwindSafe(|| observer.event(event))).is_err() {
        tracing::error!(child = %event.key(), "observer panicked");
    }
}
