//! When a stream ends by itself (`Stream-TTL`, `Stream-Expires-At`; sections 4.2 and 5.1).

use std::time::Duration;

use crate::{Timestamp, Ttl};

/// When a stream ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expiry {
    /// It does not.
    #[default]
    Never,
    /// After it was neither read nor written for so long.
    Ttl(Ttl),
    /// At a fixed time.
    At(Timestamp),
}

impl Expiry {
    /// The moment of expiry, if the stream was last used at `touched`.
    pub fn deadline(self, touched: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::Ttl(ttl) => Some(touched.plus(Duration::from_secs(ttl.seconds()))),
            Self::At(at) => Some(at),
        }
    }

    /// What a fork gets: what it asks for, else what its source has (the table of section 4.2).
    pub fn of_fork(requested: Option<Self>, source: Self) -> Self {
        requested.unwrap_or(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_slides_and_a_date_does_not() {
        let ttl = Expiry::Ttl(Ttl::parse(b"2").unwrap());
        let at = Expiry::At(Timestamp::from_millis(99));
        for now in [0, 5_000] {
            let touched = Timestamp::from_millis(now);
            assert_eq!(ttl.deadline(touched), Some(Timestamp::from_millis(now + 2_000)));
            assert_eq!(at.deadline(touched), Some(Timestamp::from_millis(99)));
            assert_eq!(Expiry::Never.deadline(touched), None);
        }
    }

    #[test]
    fn a_fork_inherits_what_it_does_not_ask_for() {
        let ttl = |seconds: &[u8]| Expiry::Ttl(Ttl::parse(seconds).unwrap());
        let at = |millis| Expiry::At(Timestamp::from_millis(millis));
        let table = [
            (Expiry::Never, None, Expiry::Never),
            (Expiry::Never, Some(ttl(b"5")), ttl(b"5")),
            (Expiry::Never, Some(at(5)), at(5)),
            (ttl(b"9"), None, ttl(b"9")),
            (ttl(b"9"), Some(ttl(b"5")), ttl(b"5")),
            (ttl(b"9"), Some(at(5)), at(5)),
            (at(9), None, at(9)),
            (at(9), Some(ttl(b"5")), ttl(b"5")),
            (at(9), Some(at(5)), at(5)),
        ];
        for (source, requested, expected) in table {
            assert_eq!(Expiry::of_fork(requested, source), expected);
        }
    }
}
