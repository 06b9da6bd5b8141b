//! Who is interested in which stream: the index that all streams share, and what each remembers of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::subscription::{Index, Pattern, SubscriptionId};

use super::inbox::{Inbox, Mark};
use crate::context::Context;
use crate::stream_supervisor::View;

/// The patterns and explicit streams of all subscriptions.
#[derive(Default)]
pub(crate) struct Interests {
    /// Counts the changes, so that a stream knows by one load whether its matches still hold.
    version: AtomicU64,
    index: RwLock<Index<SubscriptionId, Arc<Inbox>>>,
}

impl Interests {
    /// Adds what a subscription is interested in, or puts its new inbox in the place of the old one.
    pub(crate) fn add<'a>(
        &self,
        id: &SubscriptionId,
        inbox: &Arc<Inbox>,
        pattern: Option<&Pattern>,
        streams: impl IntoIterator<Item = &'a StreamName>,
    ) {
        self.change(|index| {
            if let Some(pattern) = pattern {
                index.insert_pattern(pattern, id.clone(), inbox.clone());
            }
            for stream in streams {
                index.insert_name(stream.as_str(), id.clone(), inbox.clone());
            }
        });
    }

    /// Removes what a subscription was interested in.
    pub(crate) fn remove<'a>(
        &self,
        id: &SubscriptionId,
        pattern: Option<&Pattern>,
        streams: impl IntoIterator<Item = &'a StreamName>,
    ) {
        self.change(|index| {
            if let Some(pattern) = pattern {
                index.remove_pattern(pattern, id);
            }
            for stream in streams {
                index.remove_name(stream.as_str(), id);
            }
        });
    }

    /// Forgets everybody.
    pub(crate) fn clear(&self) {
        if !self.index.read().is_empty() {
            self.change(|index| *index = Index::default());
        }
    }

    fn change(&self, change: impl FnOnce(&mut Index<SubscriptionId, Arc<Inbox>>)) {
        change(&mut self.index.write());
        // After it: who sees the new version sees the change.
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Interests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interests").field("version", &self.version()).finish_non_exhaustive()
    }
}

/// The subscriptions that are interested in one stream, as its actor remembers them.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    version: u64,
    life: Option<StreamId>,
    marks: Vec<(Arc<Inbox>, Arc<Mark>)>,
}

impl Followers {
    /// Tells the followers what is about to be shown to readers: before them, so that no worker can have
    /// read what its subscription does not know of.
    pub(crate) fn tell(&mut self, context: &Context, stream: &StreamName, view: &View) {
        let interests = &context.subscriptions.interests;
        let (life, tail) = match view.live() {
            Some(live) => (Some(live.id), Some(live.tail)),
            None => (None, None),
        };
        if life.is_none() && self.life.is_some() {
            // The marks are of the life that is over now.
            self.match_anew(interests, stream);
            self.tell_all(None);
            (self.life, self.version) = (None, 0);
            self.marks.clear();
            return;
        }
        if self.life != life {
            self.life = life;
            self.version = 0;
        }
        self.match_anew(interests, stream);
        self.tell_all(tail);
    }

    fn tell_all(&self, position: Option<u64>) {
        for (inbox, mark) in &self.marks {
            inbox.tell(mark, position);
        }
    }

    /// Looks up who is interested, if that may have changed.
    fn match_anew(&mut self, interests: &Interests, stream: &StreamName) {
        // Before the look: a change in between is found the next time.
        let version = interests.version();
        if version == self.version {
            return;
        }
        let matches = interests.index.read().matches(stream.as_str());
        let mark = |inbox| (inbox, Mark::new(stream, self.life));
        self.marks = matches.into_iter().map(mark).collect();
        self.version = version;
    }
}
