//! Where a read begins (sections 5.6 and 8).

use crate::{Offset, ReadFrom};

/// The offset lies before the earliest data that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data before offset {earliest} was dropped by retention")]
pub struct Trimmed {
    /// The earliest offset that can be read.
    pub earliest: Offset,
}

/// The position at which a read begins: past the tail is the tail, `-1` the earliest data.
pub fn resolve_start(from: ReadFrom, earliest: u64, tail: u64) -> Result<u64, Trimmed> {
    match from {
        ReadFrom::Start => Ok(earliest),
        ReadFrom::Now => Ok(tail),
        ReadFrom::At(offset) if offset.position() < earliest => {
            Err(Trimmed { earliest: Offset::new(earliest) })
        }
        ReadFrom::At(offset) => Ok(offset.position().min(tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_begin_within_what_is_kept() {
        let at = |position| ReadFrom::At(Offset::new(position));
        assert_eq!(resolve_start(ReadFrom::Start, 10, 20), Ok(10));
        assert_eq!(resolve_start(ReadFrom::Now, 10, 20), Ok(20));
        assert_eq!(resolve_start(at(15), 10, 20), Ok(15));
        assert_eq!(resolve_start(at(99), 10, 20), Ok(20));
        assert_eq!(resolve_start(at(9), 10, 20), Err(Trimmed { earliest: Offset::new(10) }));
    }
}
