//! A checker of linearizability for streams that come and go: what clients were told against what
//! became durable.
//!
//! Calls and durable records are numbered by one count, the tick. The journal is the order of the writes,
//! and every answer must agree with it: a write that was acknowledged became durable once, within its
//! call; one that was refused never did; and everything that somebody saw was so at some point of the
//! journal: not after the end of the call, and not before what anybody had learned when it began.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use streamkeeper_protocol::stream::Record;

use streamkeeper_storage::Entry;

use super::Durable;

/// What a stream was like at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Absent,
    /// Somebody knows that it existed, and no more.
    Present,
    /// Somebody knows that it was closed.
    Closed,
    /// All that it held, and whether it was closed.
    Content(String, bool),
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The write whose text is this was done; the tail after it, if told.
    Wrote(String, Option<u64>),
    /// The stream was deleted.
    Deleted,
    /// The write of this text was not done, because the stream was so.
    Refused(Option<String>, Seen),
    /// A reader saw this.
    Saw(Seen),
    /// The write may have been done.
    Unknown(Option<String>),
    /// The write of this text was not done, for a reason that tells nothing of the stream.
    Refrained(Option<String>),
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The tick at which it began.
    pub(crate) begin: u64,
    /// The tick at which it had ended.
    pub(crate) end: u64,
    /// What the clock showed when it began, in milliseconds.
    pub(crate) at: i64,
    /// What the clock showed when it had ended.
    pub(crate) until: i64,
    pub(crate) told: Told,
}

/// The stream after one record of the journal.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// It came between these ticks.
    from: u64,
    until: u64,
    /// Which life it was, `None` if there was no stream.
    life: Option<usize>,
    /// How much of the life's content there was.
    length: usize,
    closed: bool,
    /// The last use of the life that is recorded.
    used: i64,
}

/// The history of one name, as its journal tells it.
struct History {
    moments: Vec<Moment>,
    /// The content of each life.
    lives: Vec<String>,
    /// Where a text was written.
    written: HashMap<String, usize>,
}

impl History {
    fn of(journal: &[&Durable]) -> Self {
        let absent =
            Moment { from: 0, until: 0, life: None, length: 0, closed: false, used: i64::MIN };
        let mut history =
            Self { moments: vec![absent], lives: Vec::new(), written: HashMap::new() };
        let mut id = None;
        for Durable { from, until, entry } in journal {
            let mut moment = history.moments[history.moments.len() - 1];
            (moment.from, moment.until) = (*from, *until);
            match (&entry.record, moment.life) {
                (Record::Created { closed, at, .. }, None) => {
                    history.lives.push(String::new());
                    id = Some(entry.id);
                    moment.life = Some(history.lives.len() - 1);
                    (moment.closed, moment.used) = (*closed, at.as_millis());
                }
                (Record::Appended { closes, at, .. }, Some(_)) => {
                    assert!(!moment.closed, "an append to a closed stream: {entry:?}");
                    moment.closed = *closes;
                    moment.used = moment.used.max(at.as_millis());
                }
                (Record::Touched { at }, Some(_)) => moment.used = moment.used.max(at.as_millis()),
                (Record::Deleted, Some(_)) => {
                    moment = Moment { from: *from, until: *until, ..absent };
                }
                (record, life) => panic!("{record:?} upon {life:?}"),
            }
            assert_eq!(id, Some(entry.id), "a record of another life: {entry:?}");
            history.moments.push(moment);
            history.write(entry);
        }
        history
    }

    fn write(&mut self, entry: &Entry) {
        let index = self.moments.len() - 1;
        let moment = &mut self.moments[index];
        if let (Some(batch), Some(life)) = (entry.record.batch(), moment.life) {
            let text = String::from_utf8(batch.payload().to_vec()).expect("texts are written");
            self.lives[life].push_str(&text);
            moment.length = self.lives[life].len();
            let before = self.written.insert(text.clone(), index);
            assert_eq!(before, None, "{text} was written twice");
        }
    }

    fn agrees(&self, index: usize, seen: &Seen) -> bool {
        let moment = self.moments[index];
        match (seen, moment.life) {
            (Seen::Absent, life) => life.is_none(),
            (Seen::Present, life) => life.is_some(),
            (Seen::Closed, life) => life.is_some() && moment.closed,
            (Seen::Content(text, closed), Some(life)) => {
                moment.closed == *closed && self.lives[life][..moment.length] == *text
            }
            (Seen::Content(..), None) => false,
        }
    }

    /// The last moment that can have come by a tick.
    fn by(&self, tick: u64) -> usize {
        self.moments.partition_point(|moment| moment.from <= tick) - 1
    }
}

/// Goes through calls in the order of their ends.
struct Sweep {
    history: History,
    ttl: Option<Duration>,
    /// The latest moment that somebody is known to have learned of.
    known: usize,
    /// Uses of lives: the life, the tick of the call's end, and the clock at its begin.
    uses: Vec<(usize, u64, i64)>,
    claimed: HashSet<usize>,
    /// The calls that ended last, and where they were placed: to understand a failure.
    recent: VecDeque<(Call, usize)>,
}

/// Checks the calls of one name against its part of the journal.
///
/// `ttl` is the TTL of all its lives.
///
/// # Panics
///
/// Somebody was told what is not so.
pub(crate) fn check(ttl: Option<Duration>, journal: &[&Durable], calls: &[Call]) {
    let history = History::of(journal);
    let mut sweep = Sweep {
        history,
        ttl,
        known: 0,
        uses: Vec::new(),
        claimed: HashSet::new(),
        recent: VecDeque::new(),
    };
    let begins = calls.iter().enumerate().map(|(i, call)| (call.begin, false, i));
    let ends = calls.iter().enumerate().map(|(i, call)| (call.end, true, i));
    let mut events: Vec<_> = begins.chain(ends).collect();
    events.sort_unstable();
    let mut known = vec![0; calls.len()];
    for (_, ended, i) in events {
        match ended {
            false => known[i] = sweep.known,
            true => sweep.place(&calls[i], known[i]),
        }
    }
}

impl Sweep {
    /// Finds the earliest moment at which a call can have happened; `low` was known when it began.
    fn place(&mut self, call: &Call, low: usize) {
        let high = self.history.by(call.end).max(low);
        let place = match &call.told {
            Told::Refrained(text) => {
                let written = text.as_ref().is_some_and(|t| self.history.written.contains_key(t));
                assert!(!written, "refused and written: {call:?}");
                return;
            }
            Told::Wrote(text, tail) => Some(self.wrote(call, text, *tail)),
            Told::Unknown(text) => {
                let index = text.as_ref().and_then(|text| self.history.written.get(text));
                let early = index.is_some_and(|i| self.history.moments[*i].from < call.begin);
                assert!(!early, "written before it was sent: {call:?}");
                return;
            }
            Told::Deleted => self.deletion(call, low, high),
            Told::Refused(Some(text), _) if self.history.written.contains_key(text) => {
                panic!("refused and written: {call:?}")
            }
            Told::Refused(_, seen) | Told::Saw(seen) => {
                let found = (low..=high).find(|i| self.history.agrees(*i, seen));
                found.or_else(|| self.expired(call, seen, low, high))
            }
        };
        let Some(place) = place else {
            let last = (high + 3).min(self.history.moments.len());
            let moments = &self.history.moments[low.saturating_sub(3)..last];
            panic!(
                "{call:?} fits nowhere in {low}..={high}: {moments:#?}, after {:#?}",
                self.recent
            )
        };
        assert!(place >= low, "{call:?} happened at {place}, but {low} was known");
        if let Some(life) = self.history.moments[place].life
            && matches!(call.told, Told::Wrote(..) | Told::Saw(Seen::Content(..)))
        {
            self.uses.push((life, call.end, call.at));
        }
        self.known = self.known.max(place);
        self.recent.push_back((call.clone(), place));
        if self.recent.len() > 8 {
            self.recent.pop_front();
        }
    }

    fn wrote(&self, call: &Call, text: &str, tail: Option<u64>) -> usize {
        let index = self.history.written.get(text);
        let index = *index.unwrap_or_else(|| panic!("lost: {call:?}"));
        let moment = self.history.moments[index];
        assert!(tail.is_none_or(|tail| tail == moment.length as u64), "{call:?}: {moment:?}");
        let within = call.begin < moment.from && moment.until < call.end;
        assert!(within, "durable at another time: {call:?}, {moment:?}");
        index
    }

    fn deletion(&mut self, call: &Call, low: usize, high: usize) -> Option<usize> {
        let ends = |i: &usize| {
            let moment = self.history.moments[*i];
            moment.life.is_none() && moment.from > call.begin && !self.claimed.contains(i)
        };
        let found = (low..=high).find(ends)?;
        self.claimed.insert(found);
        Some(found)
    }

    /// A life that is past its deadline is absent even before its end is recorded.
    fn expired(&self, call: &Call, seen: &Seen, low: usize, high: usize) -> Option<usize> {
        let ttl = i64::try_from(self.ttl?.as_millis()).ok().filter(|_| *seen == Seen::Absent)?;
        let moments = &self.history.moments;
        let over = |i: &usize| {
            let Some(life) = moments[*i].life else { return false };
            let used = self.uses.iter().filter(|use_| use_.0 == life && use_.1 < call.begin);
            let used = used.map(|use_| use_.2).max().unwrap_or(i64::MIN).max(moments[*i].used);
            used.saturating_add(ttl) <= call.until
        };
        let found = (low..=high).find(over)?;
        // It never comes back: from now on its recorded end counts as known.
        let end = (found..moments.len()).find(|i| moments[*i].life.is_none());
        Some(end.unwrap_or(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(begin: u64, end: u64, told: Told) -> Call {
        Call { begin, end, at: 0, until: 0, told }
    }

    #[test]
    fn nothing_happened_and_nobody_saw_anything() {
        check(None, &[], &[call(1, 2, Told::Saw(Seen::Absent))]);
    }

    #[test]
    #[should_panic(expected = "lost")]
    fn a_lost_write_is_found() {
        check(None, &[], &[call(1, 2, Told::Wrote("x".into(), None))]);
    }

    #[test]
    #[should_panic(expected = "fits nowhere")]
    fn a_ghost_is_found() {
        check(None, &[], &[call(1, 2, Told::Saw(Seen::Present))]);
    }
}
