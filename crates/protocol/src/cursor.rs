//! Cursors: the cache keys of live reads (PROTOCOL.md section 10.1).

use std::fmt;
use std::time::Duration;

use crate::Timestamp;

/// 2024-10-09T00:00:00Z, where interval zero begins.
const EPOCH: Timestamp = Timestamp::from_millis(1_728_432_000_000);
/// How long one interval is. Readers of the same interval share a cursor, so a cache serves them all.
const INTERVAL: Duration = Duration::from_secs(20);
/// The largest step past a client's cursor: an hour.
const MAX_JITTER_INTERVALS: u64 = 3600 / INTERVAL.as_secs();
/// The largest cursor of a client that we honour: its successors are whole numbers in JavaScript too.
const MAX_CLIENT_CURSOR: u64 = (1 << 53) - 1 - MAX_JITTER_INTERVALS;

/// The number of an interval, written in decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(u64);

impl Cursor {
    /// Parses the `cursor` query parameter. Anything but digits, and any number that no server could
    /// have reached, is as if the client had sent none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.filter(|number| *number <= MAX_CLIENT_CURSOR).map(Self)
    }

    /// The cursor of a response.
    ///
    /// It is the current interval, so that caches can collapse readers. A client that is already
    /// there gets one strictly greater than its own, by a random step of at most an hour, so that it
    /// never asks a cache the same question twice. `random` is any random number.
    pub fn next(now: Timestamp, client: Option<Self>, random: u64) -> Self {
        let current = Self(now.since(EPOCH).as_secs() / INTERVAL.as_secs());
        match client {
            Some(client) if client >= current => {
                Self(client.0.saturating_add(1 + random % MAX_JITTER_INTERVALS))
            }
            _ => current,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_cursor_is_the_current_interval() {
        for (now, interval) in [
            ("2024-10-09T00:00:00Z", 0),
            ("2024-10-09T00:00:19.999Z", 0),
            ("2024-10-09T00:00:20Z", 1),
            ("2024-10-10T00:00:00Z", 4320),
            ("1999-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(Cursor::next(at(now), None, 7), Cursor(interval), "{now}");
        }
    }

    #[test]
    fn a_client_that_is_behind_joins_the_others() {
        let now = at("2024-10-10T00:00:00Z");
        assert_eq!(Cursor::next(now, Some(Cursor(4319)), 7), Cursor(4320));
        assert_eq!(Cursor::next(now, Some(Cursor(4320)), 0), Cursor(4321));
        assert_eq!(Cursor::next(now, Some(Cursor(4320)), 179), Cursor(4500));
    }

    #[test]
    fn other_texts_are_no_cursor() {
        let large = (MAX_CLIENT_CURSOR + 1).to_string();
        for bad in ["", "-1", "+1", " 1", "1.5", "abc", "١", "18446744073709551616", &large] {
            assert_eq!(Cursor::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Cursor::parse("0042").unwrap().to_string(), "42");
    }

    proptest! {
        #[test]
        fn a_cursor_is_past_the_clients(
            now: i64,
            client in prop_oneof![0..=MAX_CLIENT_CURSOR, MAX_CLIENT_CURSOR - 9..=MAX_CLIENT_CURSOR],
            random: u64,
        ) {
            let now = Timestamp::from_millis(now);
            let client = Cursor::parse(&client.to_string());
            prop_assert!(client.is_some());
            let cursor = Cursor::next(now, client, random);
            prop_assert!(Some(cursor) > client && cursor >= Cursor::next(now, None, random));
        }

        #[test]
        fn parsing_never_panics(text in ".*", digits in "[0-9]*") {
            let _ = (Cursor::parse(&text), Cursor::parse(&digits));
        }
    }
}
