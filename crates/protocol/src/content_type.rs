//! Content types: what a stream holds (PROTOCOL.md sections 5.1 and 9).

use std::fmt;
use std::sync::Arc;

use crate::sse::SseEncoding;

/// The longest content type, in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 256;

/// The essence of streams in JSON mode (section 9.1).
const JSON: &str = "application/json";

/// The content type of a stream, kept exactly as its creator gave it. Cheap to clone.
///
/// Equality is that of the text; appends are checked by [`ContentType::same_essence`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentType(Arc<str>);

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
        if text.len() > MAX_CONTENT_TYPE_BYTES {
            return Err(InvalidContentType::TooLong);
        }
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(InvalidContentType::NotVisible);
        }
        match essence_of(text).split_once('/') {
            Some((kind, subtype)) if is_token(kind) && is_token(subtype) => Ok(Self(text.into())),
            _ => Err(InvalidContentType::NotMediaType),
        }
    }

    /// The content type exactly as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type and subtype in lower case, without parameters.
    pub fn essence(&self) -> String {
        essence_of(&self.0).to_ascii_lowercase()
    }

    /// Whether both are of the same type and subtype, whatever their parameters.
    pub fn same_essence(&self, other: &Self) -> bool {
        essence_of(&self.0).eq_ignore_ascii_case(essence_of(&other.0))
    }

    /// Whether streams of this type are in JSON mode.
    pub fn is_json(&self) -> bool {
        essence_of(&self.0).eq_ignore_ascii_case(JSON)
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
        self.0.split('/').next().is_some_and(|kind| kind.eq_ignore_ascii_case("text"))
    }
}

impl Default for ContentType {
    fn default() -> Self {
        Self("application/octet-stream".into())
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
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
