//! Stream names: the path of a stream relative to the root that serves them.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

/// The first segment that belongs to the protocol's own control routes (PROTOCOL.md section 6).
pub const RESERVED_SEGMENT: &str = "__ds";

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 1024;

/// The name of a stream: 1 to 1024 bytes of UTF-8, slashes allowed. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// Why a text is not a stream name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing follows the root.
    #[error("the stream name is empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("the stream name is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// Percent-decoding gave bytes that are not UTF-8.
    #[error("the stream name is not UTF-8")]
    NotUtf8,
    /// Holds a control character.
    #[error("the stream name holds a control character")]
    ControlCharacter,
    /// A `.` or `..` segment: clients and proxies rewrite these, so such a stream could not be
    /// addressed reliably.
    #[error("the stream name holds a `.` or `..` segment")]
    DotSegment,
    /// The first segment is [`RESERVED_SEGMENT`].
    #[error("names below `{RESERVED_SEGMENT}` are reserved by the protocol")]
    Reserved,
}

impl StreamName {
    /// Checks a name that is already decoded.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(InvalidName::TooLong);
        }
        if !is_plain(name) {
            if name.chars().any(char::is_control) {
                return Err(InvalidName::ControlCharacter);
            }
            if name.split('/').any(|segment| matches!(segment, "." | "..")) {
                return Err(InvalidName::DotSegment);
            }
        }
        match name.strip_prefix(RESERVED_SEGMENT) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Err(InvalidName::Reserved),
            _ => Ok(Self(name.into())),
        }
    }

    /// Percent-decodes a URL path (without its leading slash) and checks it.
    ///
    /// `%2F` is a slash: `a%2Fb` and `a/b` name the same stream.
    pub fn from_path(path: &str) -> Result<Self, InvalidName> {
        if !path.as_bytes().contains(&b'%') {
            return Self::new(path);
        }
        let decoded = percent_decode_str(path).decode_utf8().map_err(|_| InvalidName::NotUtf8)?;
        Self::new(&decoded)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a name is visible ASCII without dots, as nearly all are: then there is less to check. Looks at every byte
/// without a branch, because each request pays for it.
fn is_plain(name: &str) -> bool {
    name.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & (byte != b'.'))
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_decoded_paths() {
        assert_eq!(StreamName::from_path("a%2Fb").unwrap(), StreamName::new("a/b").unwrap());
        assert_eq!(StreamName::from_path("chat/%C3%A9t%C3%A9").unwrap().as_str(), "chat/été");
        assert_eq!(StreamName::from_path("a//b/").unwrap().as_str(), "a//b/");
        assert!(StreamName::new("x__ds").is_ok() && StreamName::new("a/__ds").is_ok());
    }

    #[test]
    fn unaddressable_names_are_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let cases = [
            ("", InvalidName::Empty),
            (long.as_str(), InvalidName::TooLong),
            ("%ff", InvalidName::NotUtf8),
            ("a%00b", InvalidName::ControlCharacter),
            ("a%0D%0Ab", InvalidName::ControlCharacter),
            ("a/../b", InvalidName::DotSegment),
            ("%2e%2e/b", InvalidName::DotSegment),
            (".", InvalidName::DotSegment),
            ("__ds", InvalidName::Reserved),
            ("__ds/x", InvalidName::Reserved),
            ("%5F_ds/x", InvalidName::Reserved),
        ];
        for (path, error) in cases {
            assert_eq!(StreamName::from_path(path), Err(error), "{path:?}");
        }
        assert!(StreamName::new(&"x".repeat(MAX_NAME_BYTES)).is_ok());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(path in ".*") {
            let _ = StreamName::from_path(&path);
        }
    }
}
