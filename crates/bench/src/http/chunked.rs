//! The chunked transfer coding, taken apart as it comes.

use std::io;

/// Where a chunked body stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a size line; whether its digits are over.
    Size {
        size: u64,
        extension: bool,
    },
    /// In a chunk that has so many bytes left.
    Data(u64),
    /// In the line end after a chunk.
    AfterData,
    /// After the last chunk; whether the line has anything but its end.
    Trailer {
        empty: bool,
    },
    Done,
}

/// A decoder of one body.
#[derive(Debug)]
pub(crate) struct Chunked(State);

impl Chunked {
    pub(crate) fn new() -> Self {
        Self(State::Size { size: 0, extension: false })
    }

    /// Whether the body is over.
    pub(crate) fn is_done(&self) -> bool {
        self.0 == State::Done
    }

    /// Takes input, gives data; tells how much of the input belongs to this body.
    pub(crate) fn feed(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut at = 0;
        while at < input.len() && !self.is_done() {
            if let State::Data(left) = self.0 {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - at);
                data(&input[at..at + take]);
                at += take;
                self.0 = match left - take as u64 {
                    0 => State::AfterData,
                    left => State::Data(left),
                };
            } else {
                self.0 = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&self, byte: u8) -> io::Result<State> {
        Ok(match (self.0, byte) {
            (State::Size { size: 0, .. }, b'\n') => State::Trailer { empty: true },
            (State::Size { size, .. }, b'\n') => State::Data(size),
            (State::Size { size, .. }, b'\r' | b';' | b' ') => {
                State::Size { size, extension: true }
            }
            (State::Size { size, extension: true }, _) => State::Size { size, extension: true },
            (State::Size { size, extension: false }, digit) => {
                let digit = (digit as char).to_digit(16).ok_or_else(malformed)?;
                let size = size.checked_mul(16).ok_or_else(malformed)? + u64::from(digit);
                State::Size { size, extension: false }
            }
            (State::AfterData, b'\r') => State::AfterData,
            (State::AfterData, b'\n') => State::Size { size: 0, extension: false },
            (State::Trailer { empty: true }, b'\n') => State::Done,
            (State::Trailer { empty }, b'\r') => State::Trailer { empty },
            (State::Trailer { .. }, byte) => State::Trailer { empty: byte == b'\n' },
            (State::AfterData | State::Data(_) | State::Done, _) => return Err(malformed()),
        })
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed chunked body")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5\r\nhello\r\n1;x=y\r\n!\r\nA\r\n0123456789\r\n0\r\nt: v\r\n\r\n";

    #[test]
    fn a_body_is_decoded_wherever_it_is_cut() {
        for cut in 0..BODY.len() {
            let (mut decoder, mut data) = (Chunked::new(), Vec::new());
            for part in [&BODY[..cut], &BODY[cut..]] {
                let taken = decoder.feed(part, |piece| data.extend_from_slice(piece)).unwrap();
                assert_eq!(taken, part.len());
            }
            assert!(decoder.is_done());
            assert_eq!(data, b"hello!0123456789", "cut at {cut}");
        }
    }

    #[test]
    fn what_follows_a_body_is_left() {
        let mut decoder = Chunked::new();
        let taken = decoder.feed(b"1\r\nx\r\n0\r\n\r\nHTTP/1.1", |_| {}).unwrap();
        assert_eq!((taken, decoder.is_done()), (11, true));
    }

    #[test]
    fn junk_is_an_error() {
        assert!(Chunked::new().feed(b"hello", |_| {}).is_err());
        assert!(Chunked::new().feed(b"1\r\nxy", |_| {}).is_err());
    }
}
