//! The view of a stream: what its actor publishes to readers.

use std::ops::Deref;
use std::sync::Arc;

use streamkeeper_protocol::Timestamp;
use streamkeeper_protocol::stream::{Ancestor, Config, StreamId, StreamState};

use super::recent::Recent;
use super::touch::Touch;

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
    pub(crate) life: Arc<Life>,
    pub(crate) earliest: u64,
    pub(crate) tail: u64,
    pub(crate) closed: bool,
}

/// What the views of one life of a stream share.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) id: StreamId,
    pub(crate) config: Config,
    /// Whose data lies before the stream's own; empty but for forks.
    pub(crate) lineage: Option<Arc<[Ancestor]>>,
    pub(crate) recent: Recent,
    /// When it was last used. That of the next life begins anew, while this one's views are still out.
    pub(crate) touch: Arc<Touch>,
}

impl Life {
    /// The life of a state, with up to so many bytes of its latest messages at hand.
    pub(crate) fn of(state: &StreamState, recent_bytes: usize, touch: Arc<Touch>) -> Arc<Self> {
        Arc::new(Self {
            id: state.id,
            config: state.config.clone(),
            lineage: state.origin.as_ref().map(|origin| origin.lineage.clone()),
            recent: Recent::new(recent_bytes),
            touch,
        })
    }
}

impl Deref for Live {
    type Target = Life;

    fn deref(&self) -> &Life {
        &self.life
    }
}

impl View {
    /// The view of a state and its life, all of which must be durable.
    pub(crate) fn of(state: Option<&StreamState>, life: Option<&Arc<Life>>) -> Arc<Self> {
        Arc::new(match state.zip(life) {
            None => Self::Absent,
            Some((state, _)) if state.soft_deleted => Self::SoftDeleted,
            Some((state, life)) => Self::Live(Live {
                life: life.clone(),
                earliest: state.earliest,
                tail: state.tail,
                closed: state.closed,
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
    /// Whether the stream has ended by itself.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.config.expiry.deadline(self.touch.latest()).is_some_and(|deadline| deadline <= now)
    }
}
