//! The naive model: streams that own all their messages, forks that copy, and lists that are searched.
//!
//! Written from PROTOCOL.md and the protocol notes, without a look at the product. Answers are words.

mod append;
mod create;

use crate::command::{Anchor, Command, End, From, NAMES, Place, TYPES};

/// A stream. Nothing in it is clever.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naive {
    pub(crate) life: u64,
    pub(crate) content_type: String,
    pub(crate) end: Option<End>,
    /// Every message that is or was there, a fork's inherited ones included.
    pub(crate) messages: Vec<String>,
    /// How many of the first were dropped.
    pub(crate) dropped: usize,
    pub(crate) closed: bool,
    /// Everything that producers wrote: who, epoch, number.
    pub(crate) produced: Vec<(usize, u64, u64)>,
    pub(crate) seqs: Vec<String>,
    pub(crate) used_at: i64,
    /// Source, its life, position and sub-offset.
    pub(crate) origin: Option<(usize, u64, u64, u64)>,
    /// The lives that were forked off and live.
    pub(crate) forks: Vec<u64>,
    pub(crate) soft_deleted: bool,
}

/// All streams, the time, and the number of lives so far.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) streams: [Option<Naive>; NAMES.len()],
    pub(crate) now: i64,
    pub(crate) lives: u64,
}

/// What comes of a command, in a word or two.
pub(crate) type Words = String;

pub(crate) fn words(text: &str) -> Words {
    text.to_owned()
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap().trim().to_lowercase()
}

/// The messages of a body, as they are stored.
pub(crate) fn framed(content_type: &str, body: &[u16]) -> Vec<String> {
    if essence(content_type) == "application/json" {
        return body.iter().map(|number| format!("{number},")).collect();
    }
    let text: String = body.iter().map(|number| number.to_string()).collect();
    if text.is_empty() { vec![] } else { vec![text] }
}

impl Naive {
    pub(crate) fn tail(&self) -> u64 {
        self.messages.concat().len() as u64
    }

    pub(crate) fn position(&self, message: usize) -> u64 {
        self.messages[..message.min(self.messages.len())].concat().len() as u64
    }

    pub(crate) fn last_of(&self, who: usize) -> Option<(u64, u64)> {
        let mut mine = self.produced.iter().filter(|(by, ..)| *by == who);
        mine.next_back().map(|(_, epoch, seq)| (*epoch, *seq))
    }

    /// The numbers that a producer sends.
    pub(crate) fn place(&self, who: usize, place: Place) -> (u64, u64) {
        match (place, self.last_of(who)) {
            (Place::Exactly(epoch, seq), _) => (epoch, seq),
            (_, None) => (0, 0),
            (Place::Next, Some((epoch, seq))) => (epoch, seq + 1),
            (Place::Again, Some(last)) => last,
            (Place::Renewed, Some((epoch, _))) => (epoch + 1, 0),
        }
    }
}

impl World {
    /// Where an anchor lies, as both the model and the product are told.
    pub(crate) fn anchored(&self, from: &From) -> Option<u64> {
        match (from.anchor, &self.streams[from.source]) {
            (Anchor::Tail, _) => None,
            (Anchor::Position(position), _) => Some(position),
            (Anchor::Message(_), None) => Some(0),
            (Anchor::Message(n), Some(source)) => Some(source.position(n)),
        }
    }

    fn expired(&self, name: usize) -> bool {
        let Some(stream) = &self.streams[name] else { return false };
        !stream.soft_deleted
            && match stream.end {
                None | Some(End::Never) => false,
                Some(End::Ttl(seconds)) => self.now >= stream.used_at + 1_000 * seconds as i64,
                Some(End::At(millis)) => self.now >= millis,
            }
    }

    /// A stream ends: at once, or when its last fork does.
    fn end(&mut self, name: usize) {
        let stream = self.streams[name].as_mut().unwrap();
        if !stream.forks.is_empty() {
            stream.soft_deleted = true;
            return;
        }
        let ended = self.streams[name].take().unwrap();
        let Some((source, life, ..)) = ended.origin else { return };
        let Some(holder) = &mut self.streams[source] else { return };
        if holder.life == life {
            holder.forks.retain(|fork| *fork != ended.life);
            if holder.soft_deleted && holder.forks.is_empty() {
                self.end(source);
            }
        }
    }

    /// Ends a stream whose time has come. Returns whether it had.
    fn bury(&mut self, name: usize) -> bool {
        let expired = self.expired(name);
        if expired {
            self.end(name);
        }
        expired
    }

    /// Does it. The words that may come of it; several if the protocol leaves open which error is told.
    pub(crate) fn run(&mut self, command: &Command) -> Vec<Words> {
        match command {
            Command::Create { name, content_type, end, closed, body, fork } => {
                let mut stream = Naive { closed: *closed, used_at: self.now, ..Default::default() };
                self.lives += 1;
                stream.life = self.lives;
                let kind = content_type.map(|kind| TYPES[kind]);
                self.create(*name, stream, kind, *end, body, fork.as_ref())
            }
            Command::Append { name, content_type, body, producer, seq, close } => {
                let kind = content_type.map(|kind| TYPES[kind]);
                let word = self.append(*name, kind, body, *producer, seq.as_ref(), *close);
                if word == "not found" {
                    self.bury(*name);
                }
                vec![word]
            }
            Command::Delete { name } => {
                if self.bury(*name) {
                    return vec![words("not found")];
                }
                match &self.streams[*name] {
                    None => vec![words("not found")],
                    Some(stream) if stream.soft_deleted => vec![words("gone")],
                    Some(_) => {
                        self.end(*name);
                        vec![words("deleted")]
                    }
                }
            }
            Command::Read { name, .. } => {
                let (now, expired) = (self.now, self.expired(*name));
                match &mut self.streams[*name] {
                    None => vec![words("not found")],
                    Some(_) if expired => vec![words("not found")],
                    Some(stream) if stream.soft_deleted => vec![words("gone")],
                    Some(stream) => {
                        stream.used_at = now;
                        vec![words("read")]
                    }
                }
            }
            Command::Truncate { name, messages } => {
                if let Some(stream) = self.streams[*name].as_mut().filter(|s| !s.soft_deleted) {
                    stream.dropped = stream.dropped.max(*messages).min(stream.messages.len());
                }
                vec![words("truncated")]
            }
            Command::Sweep { name } => match self.bury(*name) {
                true => vec![words("expired")],
                false => vec![words("lives on")],
            },
            Command::Pass(millis) => {
                self.now += millis;
                vec![words("passed")]
            }
        }
    }
}
