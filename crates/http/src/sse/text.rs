//! Text that is cut only between characters.
//!
//! An append may end in the middle of a UTF-8 character, and the next one bring the rest. Each event
//! is decoded alone, so such a message is held back until the character is whole. The position that
//! the reader is told stays before it: a reconnect loses nothing.

use bytes::Bytes;
use streamkeeper::{Offset, Page};
use streamkeeper_protocol::sse::incomplete_utf8_suffix;

/// How much is held back at most: beyond it, the text is not UTF-8 but something like it.
const MAX_HELD_BYTES: usize = 64 * 1024;

/// Messages that end inside a character and wait for the next ones.
#[derive(Debug)]
pub(super) struct TextHold {
    held: Vec<Bytes>,
    /// Where the held messages begin; what the reader has is before it.
    position: Offset,
    /// Where they end.
    end: Offset,
}

impl TextHold {
    pub(super) fn new(position: Offset) -> Self {
        Self { held: Vec::new(), position, end: position }
    }

    /// The position up to which the reader has everything.
    pub(super) fn position(&self) -> Offset {
        self.position
    }

    /// Whether the page can be sent as it is.
    pub(super) fn is_clean_for(&self, page: &Page) -> bool {
        let ends_in_ascii = || {
            let last = page.chunks.last().and_then(|shared| shared.chunk.batch.payload().last());
            last.is_none_or(u8::is_ascii)
        };
        self.held.is_empty()
            && (ends_in_ascii() || incomplete_utf8_suffix(&tail(&page.payloads())) == 0)
    }

    /// The reader got a page that needed no holding back.
    pub(super) fn advance(&mut self, next_offset: Offset) {
        (self.position, self.end) = (next_offset, next_offset);
    }

    /// Adds a page; returns what can be sent now. At the end of a stream that is everything.
    pub(super) fn add(&mut self, page: &Page) -> Option<Vec<Bytes>> {
        self.held.extend(page.payloads());
        self.end = page.next_offset;
        if page.closed {
            return self.give_up();
        }
        let mut kept = Vec::new();
        while !self.held.is_empty() && incomplete_utf8_suffix(&tail(&self.held)) > 0 {
            kept.extend(self.held.pop());
        }
        kept.reverse();
        let kept_bytes: usize = kept.iter().map(Bytes::len).sum();
        if kept_bytes > MAX_HELD_BYTES {
            self.held.extend(kept);
            return self.give_up();
        }
        let ready = std::mem::replace(&mut self.held, kept);
        self.position = Offset::new(self.end.position() - kept_bytes as u64);
        (!ready.is_empty()).then_some(ready)
    }

    /// Everything that is held back, though its last character is not whole.
    pub(super) fn give_up(&mut self) -> Option<Vec<Bytes>> {
        self.position = self.end;
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then_some(held)
    }
}

/// The last bytes of the pieces, enough to hold a character.
fn tail(pieces: &[Bytes]) -> Vec<u8> {
    let mut tail: Vec<u8> =
        pieces.iter().rev().flat_map(|piece| piece.iter().rev().copied()).take(4).collect();
    tail.reverse();
    tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper::{ContentType, SharedChunk, StreamId};
    use streamkeeper_protocol::Batch;
    use streamkeeper_storage::Chunk;

    fn page(position: u64, messages: &[&[u8]], closed: bool) -> Page {
        let mut end = position;
        let chunks = messages.iter().map(|message| {
            let batch = Batch::one(Bytes::copy_from_slice(message)).unwrap();
            let chunk = Chunk { position: end, batch };
            end = chunk.end();
            SharedChunk::new(chunk)
        });
        let chunks: Vec<_> = chunks.collect();
        Page {
            id: StreamId::new(uuid::Uuid::nil()),
            content_type: ContentType::parse("text/plain").unwrap(),
            start: Offset::new(position),
            next_offset: Offset::new(end),
            chunks,
            up_to_date: true,
            closed,
        }
    }

    #[test]
    fn a_character_that_is_split_over_messages_arrives_whole() {
        let mut hold = TextHold::new(Offset::ZERO);
        let first = page(0, &[b"ok", b"caf\xc3"], false);
        assert!(!hold.is_clean_for(&first));
        assert_eq!(hold.add(&first), Some(vec![Bytes::from_static(b"ok")]));
        assert_eq!(hold.position(), Offset::new(2));
        let second = page(6, &[b"\xa9!"], false);
        assert!(!hold.is_clean_for(&second));
        assert_eq!(hold.add(&second).unwrap().concat(), "caf\u{e9}!".as_bytes());
        assert_eq!(hold.position(), Offset::new(8));
        assert!(hold.is_clean_for(&page(8, &[b"clean"], false)));
    }

    #[test]
    fn a_character_may_be_split_over_many_messages() {
        let mut hold = TextHold::new(Offset::ZERO);
        let first = page(0, &[b"\xf0", b"\x9f", b"\x98"], false);
        assert!(!hold.is_clean_for(&first));
        assert_eq!(hold.add(&first), None);
        assert_eq!(hold.add(&page(3, &[b"\x80"], false)).unwrap().concat(), "\u{1f600}".as_bytes());
    }

    #[test]
    fn what_never_becomes_whole_is_given_up_at_the_end() {
        let mut hold = TextHold::new(Offset::ZERO);
        assert_eq!(hold.add(&page(0, &[b"\xe9"], false)), None);
        assert_eq!(hold.position(), Offset::ZERO);
        assert_eq!(hold.add(&page(1, &[], true)).unwrap().concat(), b"\xe9");
        assert_eq!(hold.position(), Offset::new(1));
    }

    #[test]
    fn text_in_another_encoding_is_not_held_for_ever() {
        let mut hold = TextHold::new(Offset::ZERO);
        let line = [b'x'; 1023].iter().chain(b"\xe9").copied().collect::<Vec<_>>();
        let sent = (0..100).filter_map(|i| hold.add(&page(i * 1024, &[&line], false))).count();
        assert!(sent > 0);
    }
}
