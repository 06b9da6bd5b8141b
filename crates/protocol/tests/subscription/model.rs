//! A subscription, the streams around it, and what users are promised of both.

use std::collections::{BTreeMap, BTreeSet};

use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::subscription::{
    Ack, AckRejection, AckRequest, Attempt, Chance, ClaimRejection, Config, Event, Outcome, Phase,
    Release, ReleaseRequest, Seen, SubscriptionState, Tail, Tracker, decode_events, encode_events,
};
use streamkeeper_protocol::{Offset, StreamName, Timestamp};
use uuid::Uuid;

/// The lease of these tests, in milliseconds.
pub(crate) const LEASE: i64 = 1_000;

/// What a worker was told with a wake.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) wake_id: String,
    pub(crate) generation: u64,
    /// Tails, with the lives that they are of.
    pub(crate) tails: BTreeMap<StreamName, (Option<StreamId>, u64)>,
}

/// A subscription and its world.
pub(crate) struct World {
    pub(crate) tracker: Tracker,
    pub(crate) streams: BTreeMap<StreamName, Tail>,
    pub(crate) now: i64,
    /// All that was stored, as it was stored.
    stored: Vec<bytes::Bytes>,
    /// Who may ack, and until when.
    current: Option<(String, i64)>,
    wakes: BTreeSet<String>,
    generation: u64,
    cursors: BTreeMap<(StreamName, StreamId), u64>,
    drawn: u128,
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("valid in this test")
}

impl World {
    pub(crate) fn new(config: &str, existing: &[(&str, u64)]) -> Self {
        let mut world = Self {
            tracker: Tracker::load(state(config)),
            streams: BTreeMap::new(),
            now: 0,
            stored: Vec::new(),
            current: None,
            wakes: BTreeSet::new(),
            generation: 0,
            cursors: BTreeMap::new(),
            drawn: 0,
        };
        for (stream, position) in existing {
            let tail = Tail { life: world.draw_life(), position: *position };
            world.streams.insert(name(stream), tail);
        }
        let config = Config::from_json(config.as_bytes()).expect("valid in this test");
        let seen = world.streams.iter().map(|(stream, tail)| (stream.clone(), *tail));
        world.tracker = Tracker::create(config, None, seen.collect::<Vec<_>>(), world.at());
        world.check();
        world
    }

    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub(crate) fn chance(&mut self) -> Chance {
        self.drawn += 1;
        Chance(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    fn draw_life(&mut self) -> StreamId {
        self.drawn += 1;
        StreamId::new(Uuid::from_u128(self.drawn))
    }

    pub(crate) fn append(&mut self, stream: &str, bytes: u64) {
        let life = self.draw_life();
        let tail = self.streams.entry(name(stream)).or_insert(Tail { life, position: 0 });
        tail.position += bytes;
        let seen = Seen::At(*tail);
        self.tracker.see(&name(stream), seen);
        self.settle();
    }

    pub(crate) fn delete(&mut self, stream: &str) {
        if let Some(tail) = self.streams.remove(&name(stream)) {
            self.tracker.see(&name(stream), Seen::Gone(tail.life));
        }
        self.settle();
    }

    pub(crate) fn pass(&mut self, millis: i64) {
        self.now += millis;
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        let (now, chance) = (self.at(), self.chance());
        self.tracker.settle(now, chance);
        self.check();
    }

    pub(crate) fn add(&mut self, stream: &str) {
        self.tracker.add_stream(&name(stream), self.streams.get(&name(stream)).copied());
        self.settle();
    }

    pub(crate) fn remove(&mut self, stream: &str) {
        self.tracker.remove_stream(&name(stream));
        self.settle();
    }

    pub(crate) fn claim(&mut self) -> Result<Told, ClaimRejection> {
        let (now, chance) = (self.at(), self.chance());
        let held = self.holds_lease();
        let grant = self.tracker.claim("worker", now, chance);
        self.check();
        assert!(!(held && grant.is_ok()), "two workers hold the work");
        let grant = grant?;
        let tails = grant.streams.into_iter().map(|s| (s.path, (s.life, s.tail))).collect();
        let told = Told { wake_id: grant.wake_id.to_string(), generation: grant.generation, tails };
        self.current = Some((told.wake_id.clone(), self.now + LEASE));
        Ok(told)
    }

    /// Acks each stream that the worker was told of up to `part` hundredths of its tail.
    pub(crate) fn ack(&mut self, told: &Told, part: u64, done: bool) -> Result<bool, AckRejection> {
        let acks = told.tails.iter().map(|(stream, (_, tail))| Ack {
            stream: stream.clone(),
            offset: Offset::new(tail * part / 100),
        });
        self.ack_these(told, acks.collect(), done)
    }

    pub(crate) fn ack_these(
        &mut self,
        told: &Told,
        acks: Vec<Ack>,
        done: bool,
    ) -> Result<bool, AckRejection> {
        let (wake_id, generation) = (told.wake_id.clone(), told.generation);
        let request = AckRequest { wake_id, generation, acks, done };
        let (may, before) = (self.may_act(told), self.tracker.state().links.clone());
        let (now, chance) = (self.at(), self.chance());
        let answer = self.tracker.ack(told.generation, &request, now, chance);
        if may {
            assert_ne!(answer, Err(AckRejection::Fenced), "the worker holds the work");
        } else {
            assert_eq!(answer, Err(AckRejection::Fenced));
        }
        if answer.is_err() {
            assert_eq!(self.tracker.state().links, before, "a refused ack moves nothing");
        } else {
            self.current = (!done).then(|| (told.wake_id.clone(), self.now + LEASE));
        }
        self.check();
        answer
    }

    pub(crate) fn release(&mut self, told: &Told) -> Result<(), AckRejection> {
        let (wake_id, generation) = (told.wake_id.clone(), told.generation);
        let may = self.may_act(told);
        let (now, chance) = (self.at(), self.chance());
        let request = ReleaseRequest { wake_id, generation };
        let answer = self.tracker.release(generation, &request, now, chance);
        assert_eq!(answer.is_ok(), may);
        self.current = self.current.take().filter(|_| answer.is_err());
        self.check();
        answer
    }

    pub(crate) fn attempt(&mut self) -> Option<(Attempt, Told)> {
        let attempt = self.tracker.attempt(self.at())?;
        let tails = attempt.streams.iter().map(|s| (s.path.clone(), (s.life, s.tail))).collect();
        let (wake_id, generation) = (attempt.wake_id.to_string(), attempt.generation);
        self.current = Some((wake_id.clone(), self.now + LEASE));
        self.check();
        Some((attempt, Told { wake_id, generation, tails }))
    }

    pub(crate) fn delivered(&mut self, attempt: &Attempt, outcome: Outcome) {
        let (now, chance) = (self.at(), self.chance());
        let wake_id = attempt.wake_id.to_string();
        let current = self.current.as_ref();
        let may = current.is_some_and(|(wake, until)| *wake == wake_id && self.now < *until);
        let calling = matches!(self.tracker.state().phase, Phase::Waking { lease: Some(_), .. });
        let before = self.tracker.state().links.clone();
        self.tracker.delivered(attempt, outcome, now, chance);
        if !may {
            assert_eq!(self.tracker.state().links, before, "a late answer moves nothing");
        } else if outcome == Outcome::Done {
            self.current = None;
        } else if outcome == Outcome::Failed && calling {
            // The wake stays open until the next call: its worker may have been reached.
            self.current = Some((wake_id, i64::MAX));
        }
        self.check();
    }

    /// The system ends and begins again: the state is the fold of what is stored.
    pub(crate) fn restart(&mut self) {
        let mut state = None;
        for event in decode_events(&self.stored).expect("valid in this test") {
            SubscriptionState::fold(&mut state, &event);
        }
        assert_eq!(state.as_ref(), Some(self.tracker.state()));
        self.tracker = Tracker::load(state.expect("valid in this test"));
        let linked: Vec<_> = self.tracker.state().links.keys().cloned().collect();
        for stream in linked.iter().filter(|stream| !self.streams.contains_key(stream)) {
            self.tracker.see(stream, Seen::Absent);
        }
        for (stream, tail) in self.streams.clone() {
            self.tracker.see(&stream, Seen::At(tail));
        }
        self.settle();
    }

    /// Puts a snapshot in the place of all that is stored.
    pub(crate) fn compact(&mut self) {
        self.stored = vec![
            encode_events(&[self.tracker.snapshot()])
                .expect("valid in this test")
                .payload()
                .clone(),
        ];
    }

    fn holds_lease(&self) -> bool {
        let held = self.current.as_ref().is_some_and(|(_, until)| self.now < *until);
        held && matches!(self.tracker.state().phase, Phase::Leased { .. })
    }

    fn may_act(&self, told: &Told) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|(wake, until)| *wake == told.wake_id && self.now < *until)
    }

    /// What holds at every moment.
    fn check(&mut self) {
        let events = self.tracker.take_events();
        for event in &events {
            self.check_event(event);
        }
        self.stored.extend(encode_events(&events).map(|batch| batch.payload().clone()));
        let state = self.tracker.state();
        for (stream, link) in &state.links {
            let Some(life) = link.life else { continue };
            let cursor = self.cursors.entry((stream.clone(), life)).or_insert(0);
            assert!(link.acked >= *cursor, "the cursor of {stream} has gone back");
            *cursor = link.acked;
            let tail = self.streams.get(stream).filter(|tail| tail.life == life);
            assert!(link.acked <= tail.map_or(0, |tail| tail.position), "a cursor past the tail");
        }
    }

    fn check_event(&mut self, event: &Event) {
        match event {
            Event::Woken { wake_id, generation, .. } => {
                assert_eq!(*generation, self.generation + 1, "generations grow");
                assert!(self.wakes.insert(wake_id.to_string()), "wakes are unique");
                self.generation = *generation;
            }
            // What was gone before anybody took it.
            Event::Released { reason: Release::NoWork } => self.current = None,
            _ => {}
        }
    }

    /// Whether any linked stream has work, by the rule of section 7.
    pub(crate) fn has_work(&self) -> bool {
        self.tracker.state().links.iter().any(|(stream, link)| {
            self.streams
                .get(stream)
                .is_some_and(|tail| link.life == Some(tail.life) && tail.position > link.acked)
        })
    }
}

fn state(config: &str) -> SubscriptionState {
    let config = Config::from_json(config.as_bytes()).expect("valid in this test");
    Tracker::create(config, None, [], Timestamp::from_millis(0)).state().clone()
}
