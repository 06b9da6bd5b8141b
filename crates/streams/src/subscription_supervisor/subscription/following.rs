//! What a subscription has asked streams to tell it of.

use std::collections::BTreeSet;
use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::subscription::{Pattern, SubscriptionId};

use super::super::inbox::Inbox;
use super::super::interests::Interests;

/// What a subscription follows: its pattern, and streams by name.
pub(super) struct Following {
    id: SubscriptionId,
    pub(super) inbox: Arc<Inbox>,
    pattern: Option<Pattern>,
    streams: BTreeSet<StreamName>,
}

impl Following {
    /// Nothing.
    pub(super) fn new(id: SubscriptionId, inbox: Arc<Inbox>) -> Self {
        Self { id, inbox, pattern: None, streams: BTreeSet::new() }
    }

    pub(super) fn pattern(&mut self, interests: &Interests, pattern: Option<&Pattern>) {
        if let Some(pattern) = pattern {
            interests.add(&self.id, &self.inbox, Some(pattern), []);
            self.pattern = Some(pattern.clone());
        }
    }

    pub(super) fn streams<'a>(
        &mut self,
        interests: &Interests,
        streams: impl IntoIterator<Item = &'a StreamName>,
    ) {
        let new = streams.into_iter().filter(|stream| !self.streams.contains(*stream));
        let new: Vec<StreamName> = new.cloned().collect();
        if !new.is_empty() {
            interests.add(&self.id, &self.inbox, None, &new);
            self.streams.extend(new);
        }
    }

    pub(super) fn forget(&mut self, interests: &Interests, stream: &StreamName) {
        if self.streams.remove(stream) {
            interests.remove(&self.id, None, [stream]);
        }
    }

    pub(super) fn forget_all(&mut self, interests: &Interests) {
        let (pattern, streams) = (self.pattern.take(), std::mem::take(&mut self.streams));
        if pattern.is_some() || !streams.is_empty() {
            interests.remove(&self.id, pattern.as_ref(), &streams);
        }
    }
}
