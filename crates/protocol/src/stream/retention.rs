//! Retention, our extension: how much of a stream is kept, and what may be dropped.
//!
//! A policy names an age, a number of messages and a number of bytes; whichever is reached first
//! lets the oldest messages go. Messages carry no times, so a stream that has a policy keeps a few
//! [`Mark`]s: positions together with the age and the number of what lies before them.

use std::num::NonZeroU64;
use std::time::Duration;

use super::{StreamId, StreamState};
use crate::{Timestamp, Ttl};

/// How much of a stream is kept. Each limit stands alone; without any, everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Messages older than this go.
    pub max_age: Option<Ttl>,
    /// The oldest messages beyond this many go. Of a fork, only its own messages count.
    pub max_messages: Option<NonZeroU64>,
    /// The oldest messages beyond this many bytes go.
    pub max_bytes: Option<NonZeroU64>,
}

/// How finely a limit is followed by marks: in this many steps.
const STEPS: u64 = 32;
/// With more marks than this, every other one is given up.
const MAX_MARKS: usize = 256;

impl Retention {
    /// Whether nothing is ever dropped.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// What a fork gets: what it asks for, else what its source has.
    pub fn of_fork(requested: Option<Self>, source: Self) -> Self {
        requested.unwrap_or(source)
    }
}

/// A position, and what is known of the messages before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Where a message begins.
    pub position: u64,
    /// How many messages of this life lie before it, dropped ones included.
    pub messages: u64,
    /// When the last of them was appended.
    pub at: Timestamp,
}

/// The marks of a stream that has a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// In the order of their positions, all of them past the earliest position.
    pub marks: Vec<Mark>,
    /// When the first message behind the last mark was appended.
    pub since: Timestamp,
}

impl Marks {
    /// Notes that a message is appended at `tail.position` at the time `now`; `tail` tells of what is before.
    pub(super) fn note(&mut self, policy: &Retention, earliest: Mark, tail: Mark, now: Timestamp) {
        let last = self.marks.last().unwrap_or(&earliest);
        if tail.position == last.position {
            self.since = now;
            return;
        }
        let age = policy.max_age.map(|age| age.duration() / STEPS as u32);
        let far = |limit: Option<NonZeroU64>, distance: u64| {
            limit.is_some_and(|limit| distance >= (limit.get() / STEPS).max(1))
        };
        let due = age.is_some_and(|step| now.since(self.since) > step)
            || far(policy.max_bytes, tail.position - last.position)
            || far(policy.max_messages, tail.messages - last.messages);
        if !due {
            return;
        }
        self.marks.push(tail);
        self.since = now;
        if self.marks.len() > MAX_MARKS {
            let mut nth = 0;
            self.marks.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
        }
    }

    pub(super) fn truncate_before(&mut self, position: u64) {
        let dropped = self.marks.partition_point(|mark| mark.position <= position);
        self.marks.drain(..dropped);
    }
}

/// What is to be dropped of a stream: the messages before the first one that satisfies both bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// The life of the stream.
    pub id: StreamId,
    /// Where to begin to look: the cut lies at this position or behind it.
    pub from: Mark,
    /// The cut lies at this position or behind it.
    pub min_position: u64,
    /// So many messages of this life, at least, lie before the cut.
    pub min_messages: u64,
}

/// A message boundary before which everything goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Where the first message that is kept begins.
    pub before: u64,
    /// How many messages of this life lie before it.
    pub messages: u64,
}

impl StreamState {
    /// When the stream has something to drop: at once is the earliest time there is. `None` if
    /// never, as far as one can tell now.
    pub fn compaction_due(&self) -> Option<Timestamp> {
        let policy = self.config.retention;
        if self.soft_deleted || policy.is_unlimited() || self.earliest == self.tail {
            return None;
        }
        let over = |limit: Option<NonZeroU64>, kept: u64| limit.is_some_and(|max| kept > max.get());
        if over(policy.max_bytes, self.tail - self.earliest)
            || over(policy.max_messages, self.messages - self.dropped)
        {
            return Some(Timestamp::MIN);
        }
        let first = self.marks.marks.first().copied().unwrap_or(self.tail_mark());
        policy.max_age.map(|age| first.at.plus(age.duration()))
    }

    /// What is to be dropped now, if anything. To find the cut, look at the messages from
    /// [`Compaction::from`] on.
    pub fn plan_compaction(&self, now: Timestamp) -> Option<Compaction> {
        self.compaction_due().filter(|due| *due <= now)?;
        let policy = self.config.retention;
        let marks = || self.marks.marks.iter().copied().chain([self.tail_mark()]);
        let too_old =
            |mark: &Mark| policy.max_age.is_some_and(|age| mark.at.plus(age.duration()) <= now);
        let aged = marks().take_while(too_old).last().map_or(self.earliest, |mark| mark.position);
        let beyond = |limit: Option<NonZeroU64>, all: u64| {
            limit.map_or(0, |max| all.saturating_sub(max.get()))
        };
        let min_position = aged.max(beyond(policy.max_bytes, self.tail));
        let min_messages = self.dropped.max(beyond(policy.max_messages, self.messages));
        let short = |mark: &Mark| mark.position < min_position || mark.messages < min_messages;
        let from = marks().take_while(short).last().unwrap_or(self.earliest_mark());
        Some(Compaction { id: self.id, from, min_position, min_messages })
    }

    pub(super) fn earliest_mark(&self) -> Mark {
        Mark { position: self.earliest, messages: self.dropped, at: self.created_at }
    }

    pub(super) fn tail_mark(&self) -> Mark {
        Mark { position: self.tail, messages: self.messages, at: self.appended_at }
    }
}

impl Compaction {
    /// The cut, if it lies among these messages; else where to go on looking.
    ///
    /// `ends` are the ends of the messages from [`from`](Self::from) on, as positions. `own` is where
    /// the stream's own messages begin: what a fork has inherited does not count.
    pub fn look(&mut self, own: u64, ends: impl IntoIterator<Item = u64>) -> Option<Cut> {
        let mut ends = ends.into_iter();
        loop {
            let at = self.from;
            if at.position >= self.min_position && at.messages >= self.min_messages {
                return Some(Cut { before: at.position, messages: at.messages });
            }
            let end = ends.next()?;
            self.from.messages += u64::from(end > own);
            self.from.position = end;
        }
    }
}

/// How late, at most, an age limit is kept: a message may be this much older than `max_age` before it
/// is due.
pub fn age_slack(max_age: Ttl) -> Duration {
    max_age.duration() / STEPS as u32
}
