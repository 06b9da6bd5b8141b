//! Ids of subscriptions (PROTOCOL.md section 6.1), and where storage keeps what they name.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::{RESERVED_SEGMENT, StreamName};

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// The client's name for a subscription: 1 to 256 bytes of UTF-8 in one segment of a path. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(Arc<str>);

/// Why a text is not the id of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// It is empty.
    #[error("the subscription id is empty")]
    Empty,
    /// Longer than [`MAX_ID_BYTES`].
    #[error("the subscription id is longer than {MAX_ID_BYTES} bytes")]
    TooLong,
    /// Percent-decoding gave bytes that are not UTF-8.
    #[error("the subscription id is not UTF-8")]
    NotUtf8,
    /// It is not one segment of a path that everybody passes on as it is.
    #[error("the subscription id holds a slash or a control character, or is `.` or `..`")]
    NotASegment,
}

impl SubscriptionId {
    /// Checks an id that is already decoded.
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        if id.is_empty() {
            return Err(InvalidId::Empty);
        }
        if id.len() > MAX_ID_BYTES {
            return Err(InvalidId::TooLong);
        }
        if matches!(id, "." | "..") || id.chars().any(|c| c == '/' || c.is_control()) {
            return Err(InvalidId::NotASegment);
        }
        Ok(Self(id.into()))
    }

    /// Percent-decodes one segment of a URL path and checks it.
    pub fn from_path(segment: &str) -> Result<Self, InvalidId> {
        let decoded = percent_decode_str(segment).decode_utf8();
        Self::new(&decoded.map_err(|_| InvalidId::NotUtf8)?)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the names of the streams that keep subscriptions begin with.
    pub fn stream_prefix() -> String {
        format!("{RESERVED_SEGMENT}/subscriptions/")
    }

    /// The name of the stream that keeps the subscription's events.
    pub fn stream_name(&self) -> StreamName {
        let name = StreamName::stored(&format!("{}{}", Self::stream_prefix(), self.0));
        // A short segment without control characters makes a name.
        name.unwrap_or_else(|_| unreachable!("an id is a segment of a name"))
    }

    /// The subscription whose events a stream keeps.
    pub fn of_stream(name: &StreamName) -> Option<Self> {
        Self::new(name.as_str().strip_prefix(&Self::stream_prefix())?).ok()
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(SubscriptionId::from_path("a%20b").unwrap().as_str(), "a b");
        let long = "x".repeat(MAX_ID_BYTES + 1);
        for (path, error) in [
            ("", InvalidId::Empty),
            (long.as_str(), InvalidId::TooLong),
            ("%ff", InvalidId::NotUtf8),
            ("a%2Fb", InvalidId::NotASegment),
            ("%2e%2E", InvalidId::NotASegment),
            ("a%00", InvalidId::NotASegment),
        ] {
            assert_eq!(SubscriptionId::from_path(path), Err(error), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_id_has_a_stream_of_its_own(id in ".{1,64}") {
            if let Ok(id) = SubscriptionId::new(&id) {
                prop_assert!(id.stream_name().is_reserved());
                prop_assert_eq!(SubscriptionId::of_stream(&id.stream_name()), Some(id));
            }
        }
    }
}
