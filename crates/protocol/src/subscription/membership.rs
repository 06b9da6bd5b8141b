//! Which streams are linked, and where they end (PROTOCOL.md sections 6.1, 6.2 and 6.4).

use super::{Event, LinkType, Tail, Tracker};
use crate::StreamName;
use crate::stream::StreamId;

/// What was seen of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It reaches so far.
    At(Tail),
    /// This life of it is over.
    Gone(StreamId),
    /// There is no such stream.
    Absent,
}

impl Tracker {
    /// Takes in what was seen of a stream. One that matches the pattern and was not there before is
    /// linked at its beginning: nobody has processed anything of it.
    pub fn see(&mut self, stream: &StreamName, seen: Seen) {
        match seen {
            Seen::At(tail) => self.see_tail(stream, tail),
            Seen::Gone(life) if self.tails.get(stream).is_some_and(|tail| tail.life != life) => {}
            Seen::Gone(_) | Seen::Absent => self.see_end(stream),
        }
        self.compare(stream);
    }

    /// Whether anything was seen of a stream.
    pub fn has_seen(&self, stream: &StreamName) -> bool {
        self.tails.contains_key(stream)
    }

    fn see_tail(&mut self, stream: &StreamName, tail: Tail) {
        let known = self.tails.entry(stream.clone()).or_insert(tail);
        *known = match known.life == tail.life {
            true => Tail { life: tail.life, position: known.position.max(tail.position) },
            false => tail,
        };
        match self.state.links.get(stream) {
            Some(link) if link.life == Some(tail.life) => {}
            Some(_) => self.emit(Event::Began { stream: stream.clone(), life: tail.life }),
            None if self.state.config.matches(stream) => self.emit(Event::Linked {
                stream: stream.clone(),
                link_type: LinkType::Glob,
                life: Some(tail.life),
                acked: 0,
            }),
            // It is being added, and this is the news that came meanwhile.
            None => {}
        }
    }

    fn see_end(&mut self, stream: &StreamName) {
        self.tails.remove(stream);
        if let Some(link) = self.state.links.get(stream)
            && (link.life.is_some() || !link.explicit)
        {
            self.emit(Event::Ended { stream: stream.clone() });
        }
    }

    /// Links a stream explicitly, at its tail if it was not linked before (section 6.4).
    pub fn add_stream(&mut self, stream: &StreamName, tail: Option<Tail>) {
        if self.state.links.get(stream).is_none_or(|link| !link.explicit) {
            self.link(stream, LinkType::Explicit, tail);
        }
    }

    /// Removes an explicit link. If the stream matches the pattern, it stays linked for that, with its
    /// cursor.
    pub fn remove_stream(&mut self, stream: &StreamName) {
        let Some(link) = self.state.links.get(stream).filter(|link| link.explicit) else { return };
        let (life, acked, glob) = (link.life, link.acked, link.glob);
        if !glob && life.is_some() && self.state.config.matches(stream) {
            let link_type = LinkType::Glob;
            self.emit(Event::Linked { stream: stream.clone(), link_type, life, acked });
        }
        self.emit(Event::Unlinked { stream: stream.clone(), link_type: LinkType::Explicit });
        if !self.state.links.contains_key(stream) {
            self.tails.remove(stream);
        }
        self.compare(stream);
    }
}
