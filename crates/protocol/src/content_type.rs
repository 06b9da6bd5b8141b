//! Content types: what a stream holds (PROTOCOL.md sections 5.1 and 9).

use std::fmt;
use std::sync::Arc;

use crate::sse::SseEncoding;

/// The longest content type, in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 256;

/// The essence of streams in JSON mode (section 9.1).
const JSON: &str = "application/json";
const PLAIN_TEXT: &str = "text/plain";
const OCTETS: &str = "application/octet-stream";

/// The content type of a stream, kept exactly as its creator gave it. Cheap to clone.
///
/// Equality is that of the text; appends are checked by [`ContentType::same_essence`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Text);

/// The text of a content type. The common ones, exactly as written here, take neither memory nor parsing, because every
/// append carries one.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Text {
    Json,
    Plain,
    Octets,
    Other(Arc<str>),
}

/// Why a text is not a content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContentType {
    /// Longer than [`MAX_CONTENT_TYPE_BYTES`].
    #[error("the content type is longer than {MAX_CONTENT_TYPE_BYTES} bytes")]
    TooLong,
    /// Holds something that is neither visible ASCII nor a space.
    #[error("the content type holds a character that is not visible ASCII")]
    NotVisible,
    /// Does not begin with a type, a slash and a subtype.
    #[error("the content type is not of the form type/subtype, such as application/json")]
    NotMediaType,
}

impl ContentType {
    /// Checks the value of a `Content-Type` header.
    ///
    /// Parameters may be anything visible: they are stored and echoed, never interpreted.
    pub fn parse(text: &str) -> Result<Self, InvalidContentType> {
        match text {
            JSON => return Ok(Self(Text::Json)),
            PLAIN_TEXT => return Ok(Self(Text::Plain)),
            OCTETS => return Ok(Self(Text::Octets)),
            _ => {}
        }
        if text.len() > MAX_CONTENT_TYPE_BYTES {
            return Err(InvalidContentType::TooLong);
        }
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(InvalidContentType::NotVisible);
        }
        match essence_of(text).split_once('/') {
            Some((kind, subtype)) if is_token(kind) && is_token(subtype) => {
                Ok(Self(Text::Other(text.into())))
            }
            _ => Err(InvalidContentType::NotMediaType),
        }
    }

    /// The content type exactly as it was given.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Other(text) => text,
            common => common.as_static().unwrap_or_default(),
        }
    }

    /// The content type exactly as it was given, if it is one of the common ones.
    pub fn as_static(&self) -> Option<&'static str> {
        self.0.as_static()
    }

    /// The type and subtype in lower case, without parameters.
    pub fn essence(&self) -> String {
        essence_of(self.as_str()).to_ascii_lowercase()
    }

    /// Whether both are of the same type and subtype, whatever their parameters.
    pub fn same_essence(&self, other: &Self) -> bool {
        self == other || essence_of(self.as_str()).eq_ignore_ascii_case(essence_of(other.as_str()))
    }

    /// Whether streams of this type are in JSON mode.
    pub fn is_json(&self) -> bool {
        match &self.0 {
            Text::Json => true,
            Text::Plain | Text::Octets => false,
            Text::Other(text) => essence_of(text).eq_ignore_ascii_case(JSON),
        }
    }

    /// How data of this type travels in server-sent events (section 5.8).
    pub fn sse_encoding(&self) -> SseEncoding {
        if self.is_json() {
            SseEncoding::Json
        } else if self.is_text() {
            SseEncoding::Text
        } else {
            SseEncoding::Base64
        }
    }

    fn is_text(&self) -> bool {
        self.as_str().split('/').next().is_some_and(|kind| kind.eq_ignore_ascii_case("text"))
    }
}

impl Text {
    fn as_static(&self) -> Option<&'static str> {
        match self {
            Self::Json => Some(JSON),
            Self::Plain => Some(PLAIN_TEXT),
            Self::Octets => Some(OCTETS),
            Self::Other(_) => None,
        }
    }
}

impl Default for ContentType {
    fn default() -> Self {
        Self(Text::Octets)
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// All before the first semicolon and the spaces that lead to it.
fn essence_of(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim_end_matches(' ')
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    const SYMBOLS: &[u8] = b"!#$%&'*+-.^_`|~";
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || SYMBOLS.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content_type(text: &str) -> ContentType {
        ContentType::parse(text).unwrap()
    }

    #[test]
    fn the_text_is_kept_and_the_essence_is_lowered() {
        let json = content_type("Application/JSON ; charset=UTF-8");
        assert_eq!(json.as_str(), "Application/JSON ; charset=UTF-8");
        assert_eq!(json.essence(), "application/json");
        assert!(json.is_json() && json.same_essence(&content_type("application/json")));
        assert!(!json.same_essence(&content_type("application/jsonl")));
        assert_eq!(ContentType::default(), content_type("application/octet-stream"));
    }

    #[test]
    fn text_and_json_travel_as_text() {
        for (text, encoding) in [
            ("text/plain", SseEncoding::Text),
            ("TEXT/html;charset=utf-8", SseEncoding::Text),
            ("application/json; charset=utf-8", SseEncoding::Json),
            ("application/ndjson", SseEncoding::Base64),
            ("application/vnd.api+json", SseEncoding::Base64),
            ("application/octet-stream", SseEncoding::Base64),
            ("textual/plain", SseEncoding::Base64),
        ] {
            assert_eq!(content_type(text).sse_encoding(), encoding, "{text:?}");
        }
    }

    #[test]
    fn implausible_content_types_are_refused() {
        for (bad, error) in [
            ("", InvalidContentType::NotMediaType),
            ("text", InvalidContentType::NotMediaType),
            ("text/", InvalidContentType::NotMediaType),
            ("/plain", InvalidContentType::NotMediaType),
            ("text/plain/x", InvalidContentType::NotMediaType),
            ("text/plain, text/html", InvalidContentType::NotMediaType),
            (";charset=utf-8", InvalidContentType::NotMediaType),
            ("text/plain;\r\nX: y", InvalidContentType::NotVisible),
            ("text/plaïn", InvalidContentType::NotVisible),
        ] {
            assert_eq!(ContentType::parse(bad), Err(error), "{bad:?}");
        }
        let long = format!("text/{}", "x".repeat(MAX_CONTENT_TYPE_BYTES));
        assert_eq!(ContentType::parse(&long), Err(InvalidContentType::TooLong));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".*", typed in "[a-z/; \"=*]*") {
            for text in [text, typed] {
                if let Ok(parsed) = ContentType::parse(&text) {
                    prop_assert_eq!(parsed.as_str(), text);
                    prop_assert!(parsed.same_essence(&content_type(&parsed.essence())));
                }
            }
        }
    }
}
