//! Chunks: what a read returns.

use bytes::Bytes;
use streamkeeper_protocol::Batch;

/// Whole messages of a stream, back to back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The position of the first message, in bytes from the beginning of the stream.
    pub position: u64,
    /// The messages, in stored form.
    pub batch: Batch,
}

impl Chunk {
    /// The position after the last message.
    pub fn end(&self) -> u64 {
        self.position + self.batch.size()
    }

    /// Where each message begins and ends, as positions.
    pub fn messages(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut begin = self.position;
        self.batch.ends().map(move |end| {
            let message = (begin, self.position + end);
            begin = message.1;
            message
        })
    }

    /// The part of the chunk that a read asks for; `None` if there is nothing of it here.
    ///
    /// Begins with the message that holds `from` and ends with a message; takes at most `max_bytes`,
    /// but at least one message; cuts a message that reaches past `until` (only the point of a fork
    /// lies inside a message). Shares the bytes.
    pub fn slice(&self, from: u64, until: u64, max_bytes: u64) -> Option<Self> {
        if from >= self.end() || until <= self.position || until <= from {
            return None;
        }
        if from <= self.position && until >= self.end() && self.batch.size() <= max_bytes {
            return Some(self.clone());
        }
        let mut begin = None;
        let mut end = self.position;
        let mut lengths = Vec::new();
        for (first, last) in self.messages() {
            if last <= from {
                continue;
            }
            let start = *begin.get_or_insert(first);
            let cut = last.min(until);
            let full = !lengths.is_empty() && cut - start > max_bytes;
            if first >= until || full {
                break;
            }
            lengths.push(u32::try_from(cut - first).ok()?);
            end = cut;
        }
        let begin = begin?;
        let payload = self.bytes(begin, end);
        Some(Self { position: begin, batch: Batch::many(payload, lengths)? })
    }

    fn bytes(&self, begin: u64, end: u64) -> Bytes {
        // A chunk is in memory, so its length fits.
        let index = |position: u64| (position - self.position) as usize;
        self.batch.payload().slice(index(begin)..index(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Chunk {
        let batch = Batch::many(Bytes::from_static(b"1,22,333,"), vec![2, 3, 4]).unwrap();
        Chunk { position: 100, batch }
    }

    fn text(chunk: Option<Chunk>) -> Option<(u64, String)> {
        chunk.map(|c| (c.position, String::from_utf8(c.batch.payload().to_vec()).unwrap()))
    }

    #[test]
    fn a_slice_is_whole_messages() {
        let all = u64::MAX;
        let cases = [
            ((0, all, all), Some((100, "1,22,333,"))),
            ((101, all, all), Some((100, "1,22,333,"))),
            ((102, all, all), Some((102, "22,333,"))),
            ((108, all, all), Some((105, "333,"))),
            ((109, all, all), None),
            ((0, 100, all), None),
            ((0, 102, all), Some((100, "1,"))),
            ((0, 104, all), Some((100, "1,22"))),
            ((0, all, 5), Some((100, "1,22,"))),
            ((0, all, 4), Some((100, "1,"))),
            ((0, all, 0), Some((100, "1,"))),
            ((106, all, 1), Some((105, "333,"))),
        ];
        for ((from, until, max), expected) in cases {
            let expected = expected.map(|(position, text)| (position, text.to_owned()));
            assert_eq!(text(chunk().slice(from, until, max)), expected, "{from} {until} {max}");
        }
    }
}
