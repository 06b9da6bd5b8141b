//! Points in time: milliseconds, handed in by the caller, never read from a clock here.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Why a text is not a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 timestamp, such as 2030-01-31T12:00:00Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The earliest time there is.
    pub const MIN: Self = Self(i64::MIN);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Parses an RFC 3339 timestamp with any offset from UTC.
    pub fn parse_rfc3339(text: &str) -> Result<Self, InvalidTimestamp> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|_| InvalidTimestamp)
    }

    /// Writes the timestamp in RFC 3339, in UTC, with milliseconds.
    ///
    /// A time that chrono cannot name (beyond the year 262000) is written as its largest one.
    pub fn to_rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// This time plus a duration; saturates instead of overflowing.
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The time from `earlier` to this one; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_read_with_any_offset_and_written_in_utc() {
        let time = Timestamp::parse_rfc3339("2030-01-31T14:00:00.5+02:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2030-01-31T12:00:00.500Z");
        assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Ok(time));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "tomorrow", "2030-01-31", "1893456000", "2030-02-31T00:00:00Z"] {
            assert_eq!(Timestamp::parse_rfc3339(bad), Err(InvalidTimestamp), "{bad:?}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let far = Timestamp::from_millis(i64::MAX);
        assert_eq!(far.plus(Duration::MAX), far);
        assert_eq!(Timestamp::from_millis(0).since(far), Duration::ZERO);
        assert!(!far.to_rfc3339().is_empty());
    }
}
