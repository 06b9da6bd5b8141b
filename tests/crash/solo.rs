//! Streams with one owner each. The owner does one thing at a time, so at most one outcome is unknown
//! and the states that the stream may be in are few: they are listed, and the server must be in one.

use std::time::Duration;

use tokio::time::Instant;

use crate::checker::{Fetched, fetch};
use crate::client::{Answer, Client, Request};
use crate::message;
use crate::world::{Lines, World, count};
use crate::writers::Stop;

/// What a stream may be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// 404.
    Absent,
    /// 410: deleted, and kept for its forks.
    Gone,
    /// On its way from 410 to 404: the last fork is gone.
    Settling,
    Live(Content),
}

/// Bytes in stored form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) closed: bool,
}

/// What is known of one stream.
#[derive(Debug)]
pub(crate) struct Solo {
    name: String,
    pub(crate) json: bool,
    possible: Vec<State>,
    /// The earliest life that may still be seen; lives are told by the keys of the messages.
    min_life: u64,
    pub(crate) shown: Vec<Content>,
    expiry: Option<Expiry>,
    /// Whether anything has been done to it since the last check.
    pub(crate) touched: bool,
    lines: Lines,
}

/// When a stream with a TTL ends.
#[derive(Debug, Clone, Copy)]
struct Expiry {
    ttl: Duration,
    /// Not before, by the uses that were acknowledged.
    alive_until: Instant,
    /// Not after, by the uses that may have been noticed and the lag that a restart adds.
    ended_by: Instant,
}

impl Expiry {
    fn begin(ttl: Duration) -> Self {
        Self { ttl, alive_until: Instant::now(), ended_by: Instant::now() + ttl * 2 }
    }

    fn used(&mut self, began: Instant) {
        self.alive_until = self.alive_until.max(began + self.ttl);
        self.maybe_used();
    }

    fn maybe_used(&mut self) {
        // A restart adds two tenths at most.
        self.ended_by = Instant::now() + self.ttl * 6 / 5 + Duration::from_secs(1);
    }
}

/// One step of an owner: a request, and what becomes of the stream if it is accepted.
pub(crate) struct Step<'a> {
    pub(crate) name: &'a str,
    pub(crate) request: Request,
    pub(crate) accept: u16,
    pub(crate) next: State,
    /// Streams that change along with it, whether or not the answer comes.
    pub(crate) along: &'a [(&'a str, State)],
}

impl World {
    /// What is known of a stream; a name that was not heard of before is free.
    pub(crate) fn solo<T>(&self, name: &str, json: bool, look: impl FnOnce(&mut Solo) -> T) -> T {
        let mut solos = self.solos.lock();
        look(solos.entry(name.to_owned()).or_insert_with(|| Solo::new(name, json)))
    }

    /// The state of a stream between two steps of its owner.
    pub(crate) fn state(&self, name: &str, json: bool) -> State {
        self.solo(name, json, |solo| solo.possible[0].clone())
    }

    /// Takes a step and notes what may have become of the stream, and then what has.
    pub(crate) async fn act(
        &self,
        client: &mut Client,
        json: bool,
        step: Step<'_>,
    ) -> Result<Answer, Stop> {
        let Step { name, request, accept, next, along } = step;
        for (name, state) in along {
            self.solo(name, json, |solo| solo.may_become(state.clone(), "along"));
            self.solo(name, json, |solo| solo.is_now(state.clone()));
        }
        self.solo(name, json, |solo| solo.may_become(next.clone(), &format!("{request:.300?}")));
        let began = Instant::now();
        let answer = self.ask(client, name, json, &request).await?;
        self.solo(name, json, |solo| {
            solo.lines.push(format!("answer {}", answer.summary()));
            if answer.status == accept {
                count(&self.counts.acknowledged);
                solo.is_now(next);
                if let Some(expiry) = &mut solo.expiry {
                    expiry.used(began);
                }
                return Ok(answer);
            }
            if answer.status == 404 && solo.may_have_expired() {
                solo.is_now(State::Absent);
                return Ok(answer);
            }
            let what = format!("expected {accept}, got {}", answer.summary());
            self.violation(name, &what, &solo.lines);
            Err(Stop)
        })
    }

    /// A request whose outcome is told to the caller alone.
    pub(crate) async fn ask(
        &self,
        client: &mut Client,
        name: &str,
        json: bool,
        request: &Request,
    ) -> Result<Answer, Stop> {
        match client.send(request).await {
            Ok(answer) if answer.status != 503 || !self.is_ending() => Ok(answer),
            outcome => {
                self.solo(name, json, |solo| {
                    solo.lines.push(format!("outcome unknown: {:.200?}", outcome.as_ref().err()));
                    if let Some(expiry) = &mut solo.expiry {
                        expiry.maybe_used();
                    }
                });
                match outcome {
                    Err(error) => self.broken(name, &error),
                    Ok(_) => count(&self.counts.unknown),
                }
                Err(Stop)
            }
        }
    }

    /// Reads a stream and holds it against what it may be; that is what it is from now on.
    pub(crate) async fn look(&self, client: &mut Client, name: &str) -> Result<(), Stop> {
        let json = self.solo(name, false, |solo| solo.json);
        let began = Instant::now();
        let fetched = match fetch(client, name, json, 0).await {
            Ok(fetched) if fetched.status != 503 || !self.is_ending() => fetched,
            Ok(_) => return Err(Stop),
            Err(error) => {
                self.broken(name, &error);
                return Err(Stop);
            }
        };
        count(&self.counts.probes);
        self.solo(name, json, |solo| {
            let verdict = solo.compare(fetched, began);
            verdict.map_err(|what| {
                self.violation(name, &what, &solo.lines);
                Stop
            })
        })
    }

    /// What a reader is shown of it must be of no life that was over when it asked.
    pub(crate) fn shown(&self, name: &str, json: bool, min_life: u64, content: Content) {
        self.solo(name, json, |solo| {
            let life = life(json, &content.bytes);
            if life.is_some_and(|life| life < min_life) {
                let what = format!("life {life:?} was read after it had ended");
                self.violation(name, &what, &solo.lines);
            }
            solo.shown.push(content);
        });
    }
}

impl Solo {
    fn new(name: &str, json: bool) -> Self {
        Self {
            name: name.to_owned(),
            json,
            possible: vec![State::Absent],
            min_life: 0,
            shown: Vec::new(),
            expiry: None,
            touched: false,
            lines: Lines::default(),
        }
    }

    pub(crate) fn lines(&self) -> &Lines {
        &self.lines
    }

    pub(crate) fn min_life(&self) -> u64 {
        self.min_life
    }

    /// The lives before this one are over for certain.
    pub(crate) fn begins_life(&mut self, life: u64) {
        self.min_life = life;
    }

    /// The life that begins now has a TTL.
    pub(crate) fn expires_after(&mut self, ttl: Duration) {
        self.expiry = Some(Expiry::begin(ttl));
    }

    fn may_have_expired(&self) -> bool {
        self.expiry.is_some_and(|expiry| Instant::now() >= expiry.alive_until)
    }

    fn may_become(&mut self, state: State, why: &str) {
        self.touched = true;
        self.lines.push(why.to_owned());
        if !self.possible.contains(&state) {
            self.possible.push(state);
        }
    }

    fn is_now(&mut self, state: State) {
        self.possible = vec![state];
    }

    fn compare(&mut self, fetched: Fetched, began: Instant) -> Result<(), String> {
        let seen = fetched.state()?;
        self.lines.push(format!("read: {}", describe(&seen)));
        let fits = |state: &State| {
            *state == seen
                || *state == State::Settling && matches!(seen, State::Absent | State::Gone)
        };
        if let Some(expiry) = &mut self.expiry {
            if seen == State::Absent && Instant::now() >= expiry.alive_until {
                self.is_now(State::Absent);
                return Ok(());
            }
            if matches!(seen, State::Live(_)) && began > expiry.ended_by {
                return Err(format!("outlived its TTL of {:?}", expiry.ttl));
            }
            expiry.used(began);
        }
        let Some(state) = self.possible.iter().find(|state| fits(state)) else {
            let possible: Vec<_> = self.possible.iter().map(describe).collect();
            return Err(format!("is {}; possible: {possible:#?}", describe(&seen)));
        };
        match (state, &seen) {
            (State::Settling, State::Gone) => self.is_now(State::Settling),
            _ => self.is_now(seen),
        }
        self.check_shown()
    }

    /// What readers were shown of the life that goes on is still there.
    fn check_shown(&mut self) -> Result<(), String> {
        let shown = std::mem::take(&mut self.shown);
        let State::Live(now) = &self.possible[0] else { return Ok(()) };
        let first = message::key(self.json, &now.bytes);
        for then in shown {
            let same_life = first.is_some() && message::key(self.json, &then.bytes) == first;
            let kept = now.bytes.starts_with(&then.bytes) && (now.closed || !then.closed);
            if same_life && !kept {
                let (then, now) = (describe(&State::Live(then)), describe(&self.possible[0]));
                return Err(format!("a reader was shown {then}; now it is {now}"));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Solo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, describe(&self.possible[0]))
    }
}

/// The life that the bytes of a stream are of.
fn life(json: bool, bytes: &[u8]) -> Option<u64> {
    message::key(json, bytes)?.split('.').nth(1)?.parse().ok()
}

/// A state, with no more of its bytes than one wants to read.
fn describe(state: &State) -> String {
    let State::Live(Content { bytes, closed }) = state else { return format!("{state:?}") };
    let end = &bytes[bytes.len().saturating_sub(160)..];
    format!("{} bytes, closed: {closed}, ending in `{}`", bytes.len(), end.escape_ascii())
}
