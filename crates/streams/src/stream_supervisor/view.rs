//! The view of a stream: what its actor publishes to readers.

use std::sync::Arc;

use streamkeeper_protocol::Timestamp;
use streamkeeper_protocol::stream::{Ancestor, Config, StreamId, StreamState};

use super::recent::Recent;

/// What is durably true of a stream at one moment. Immutable, so that the offset, the data and the
/// closure of one response can never disagree.
#[derive(Debug, Clone)]
pub(crate) enum View {
    /// There is no stream, not yet or no longer.
    Absent,
    /// The stream was deleted and lives on for its forks.
    SoftDeleted,
    /// The stream can be read.
    Live(Live),
}

/// A stream that can be read.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) id: StreamId,
    pub(crate) config: Config,
    /// Whose data lies before the stream's own; empty but for forks.
    pub(crate) lineage: Option<Arc<[Ancestor]>>,
    pub(crate) earliest: u64,
    pub(crate) tail: u64,
    pub(crate) closed: bool,
    pub(crate) recent: Arc<Recent>,
}

impl View {
    /// The view of a state, all of which must be durable.
    pub(crate) fn of(state: Option<&StreamState>, recent: &Arc<Recent>) -> Arc<Self> {
        Arc::new(match state {
            None => Self::Absent,
            Some(state) if state.soft_deleted => Self::SoftDeleted,
            Some(state) => Self::Live(Live {
                id: state.id,
                config: state.config.clone(),
                lineage: state.origin.as_ref().map(|origin| origin.lineage.clone()),
                earliest: state.earliest,
                tail: state.tail,
                closed: state.closed,
                recent: recent.clone(),
            }),
        })
    }

    pub(crate) fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Absent | Self::SoftDeleted => None,
        }
    }

    /// Whether a reader of `id` who has everything before `position` has something to learn.
    pub(crate) fn has_news(&self, id: StreamId, position: u64) -> bool {
        match self {
            Self::Live(live) => live.id != id || live.closed || live.tail > position,
            Self::Absent | Self::SoftDeleted => true,
        }
    }
}

impl Live {
    /// Whether the stream, last used at `touched`, has ended by itself.
    pub(crate) fn is_expired(&self, touched: Timestamp, now: Timestamp) -> bool {
        self.config.expiry.deadline(touched).is_some_and(|deadline| deadline <= now)
    }
}
