//! A batch: the messages of one append, as the bytes that are stored and served.

use bytes::Bytes;

/// The lengths of a batch's messages, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lengths {
    /// One message that is all of the payload.
    One,
    /// Several messages, one length each; their sum is the payload's length.
    Many(Box<[u32]>),
}

/// The messages of one append, back to back.
///
/// The bytes are in *stored form*: for JSON streams every message is followed by a comma, so that
/// any run of messages becomes a JSON array by a bracket on each side, without a copy. A message is
/// never empty, so every message has an offset of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    payload: Bytes,
    lengths: Lengths,
}

impl Batch {
    /// A batch of one message; `None` if it is empty.
    pub fn one(payload: Bytes) -> Option<Self> {
        (!payload.is_empty()).then_some(Self { payload, lengths: Lengths::One })
    }

    /// A batch of several messages; `None` if the lengths do not add up to the payload, or one of
    /// them is zero, or there is none.
    pub fn many(payload: Bytes, lengths: Vec<u32>) -> Option<Self> {
        let total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        if total != payload.len() as u64 || lengths.is_empty() || lengths.contains(&0) {
            return None;
        }
        let lengths = match lengths.len() {
            1 => Lengths::One,
            _ => Lengths::Many(lengths.into_boxed_slice()),
        };
        Some(Self { payload, lengths })
    }

    /// The stored bytes of all messages.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The lengths of the messages.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// How many bytes the batch adds to a stream; never zero.
    pub fn size(&self) -> u64 {
        self.payload.len() as u64
    }

    /// How many messages the batch holds; never zero.
    pub fn count(&self) -> u64 {
        match &self.lengths {
            Lengths::One => 1,
            Lengths::Many(lengths) => lengths.len() as u64,
        }
    }

    /// The end of each message, in bytes from the beginning of the batch, ascending.
    pub fn ends(&self) -> impl Iterator<Item = u64> + '_ {
        let many = match &self.lengths {
            Lengths::One => None,
            Lengths::Many(lengths) => Some(lengths.iter().scan(0, |end, length| {
                *end += u64::from(*length);
                Some(*end)
            })),
        };
        let one = many.is_none().then_some(self.size());
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_and_measured() {
        let one = Batch::one(Bytes::from_static(b"hello")).unwrap();
        assert_eq!((one.size(), one.count(), one.ends().collect::<Vec<_>>()), (5, 1, vec![5]));
        let many = Batch::many(Bytes::from_static(b"1,22,333,"), vec![2, 3, 4]).unwrap();
        assert_eq!((many.size(), many.count()), (9, 3));
        assert_eq!(many.ends().collect::<Vec<_>>(), [2, 5, 9]);
    }

    #[test]
    fn a_batch_has_messages_and_no_message_is_empty() {
        assert_eq!(Batch::one(Bytes::new()), None);
        assert_eq!(Batch::many(Bytes::from_static(b"ab"), vec![2, 0]), None);
        assert_eq!(Batch::many(Bytes::from_static(b"ab"), vec![1]), None);
        assert_eq!(Batch::many(Bytes::new(), vec![]), None);
        let single = Batch::many(Bytes::from_static(b"ab"), vec![2]).unwrap();
        assert_eq!(single.lengths(), &Lengths::One);
    }
}
