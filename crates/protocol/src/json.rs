//! JSON mode: from a request body to messages and back (PROTOCOL.md section 9.1).
//!
//! Messages are stored without insignificant white space and each is followed by a comma, so that
//! any run of them becomes an array by a bracket on each side. Numbers, keys and escapes stay byte
//! for byte as they were written.

mod scanner;

use bytes::Bytes;

use crate::Batch;
use scanner::Scanner;

pub use scanner::MAX_DEPTH;

/// Why a body is not JSON that a stream can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON at byte {at}: {reason}")]
pub struct InvalidJson {
    /// The position of the byte that does not fit, from zero.
    pub at: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Frames a request body: one JSON value, of which exactly one level of array is flattened.
///
/// `None` if the body is an empty array, so that it holds no message.
pub fn frame(body: &[u8]) -> Result<Option<Batch>, InvalidJson> {
    let mut scanner = Scanner::new(utf8(body)?);
    let lengths = match scanner.skip(b'[') {
        true => elements(&mut scanner)?,
        false => vec![scanner.message()?],
    };
    let payload = scanner.finish()?;
    Ok(Batch::many(Bytes::from(payload), lengths))
}

/// Wraps stored messages into an array without a copy: the segments of a response body.
pub fn wrap(chunks: &[Bytes]) -> Vec<Bytes> {
    let mut segments = Vec::with_capacity(chunks.len() + 2);
    segments.push(Bytes::from_static(b"["));
    segments.extend(chunks.iter().filter(|chunk| !chunk.is_empty()).cloned());
    if let Some(last) = segments.last_mut().filter(|last| last.ends_with(b",")) {
        last.truncate(last.len() - 1);
    }
    segments.push(Bytes::from_static(b"]"));
    segments
}

/// Wraps stored messages into an array, copied to one buffer.
pub fn wrap_to_vec(chunks: &[Bytes]) -> Vec<u8> {
    wrap(chunks).concat()
}

fn utf8(body: &[u8]) -> Result<&str, InvalidJson> {
    std::str::from_utf8(body)
        .map_err(|error| InvalidJson { at: error.valid_up_to(), reason: "this is not UTF-8" })
}

/// The lengths of the elements of the outermost array, whose bracket is scanned already.
fn elements(scanner: &mut Scanner<'_>) -> Result<Vec<u32>, InvalidJson> {
    let mut lengths = Vec::new();
    if scanner.skip(b']') {
        return Ok(lengths);
    }
    loop {
        lengths.push(scanner.message()?);
        if scanner.skip(b']') {
            return Ok(lengths);
        }
        if !scanner.skip(b',') {
            return Err(scanner.error("a comma or the end of the array is expected"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The messages of a body, their commas kept.
    fn messages(body: &str) -> Result<Vec<String>, InvalidJson> {
        let Some(batch) = frame(body.as_bytes())? else { return Ok(Vec::new()) };
        let mut start = 0;
        let payload = std::str::from_utf8(batch.payload()).unwrap();
        let message = |end: u64| {
            let message = payload[start..end as usize].to_owned();
            start = end as usize;
            message
        };
        Ok(batch.ends().map(message).collect())
    }

    #[test]
    fn exactly_one_level_of_array_is_flattened() {
        for (body, expected) in [
            (r#"{"event": "created"}"#, &[r#"{"event":"created"},"#][..]),
            (r#" [{"event": "a"}, 2 ,"" ] "#, &[r#"{"event":"a"},"#, "2,", r#""","#]),
            ("[[1,2], [3,4]]", &["[1,2],", "[3,4],"]),
            ("[[[1, 2, 3]]]", &["[[1,2,3]],"]),
            ("[[]]", &["[],"]),
            ("\n[ ]\n", &[]),
            (" 12345678901234567890 ", &["12345678901234567890,"]),
        ] {
            assert_eq!(messages(body).unwrap(), expected, "{body:?}");
        }
    }

    #[test]
    fn a_body_is_one_json_text() {
        for (body, at) in [
            (&b""[..], 0),
            (b"[", 1),
            (b"[1,", 3),
            (b"[1,]", 3),
            (b"[,1]", 1),
            (b"[1 2]", 3),
            (b"[1]]", 3),
            (b"[1][2]", 3),
            (b"1,2", 1),
            (b"[\"\xff\"]", 2),
        ] {
            assert_eq!(frame(body).unwrap_err().at, at, "{}", body.escape_ascii());
        }
        let error = frame(b"[1 2]").unwrap_err().to_string();
        assert_eq!(error, "invalid JSON at byte 3: a comma or the end of the array is expected");
    }

    #[test]
    fn stored_messages_become_an_array() {
        let chunks = |texts: &[&'static str]| -> Vec<Bytes> {
            texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
        };
        assert_eq!(wrap_to_vec(&[]), b"[]");
        assert_eq!(wrap_to_vec(&chunks(&["", ""])), b"[]");
        assert_eq!(wrap_to_vec(&chunks(&["1,2,", "", "3,", ""])), b"[1,2,3]");
        let stored = chunks(&["1,2,", "3,"]);
        let segments = wrap(&stored);
        assert_eq!(segments, chunks(&["[", "1,2,", "3", "]"]));
        assert_eq!(segments[1].as_ptr(), stored[0].as_ptr());
    }

    /// Text that is JSON, or nearly so, and often has white space in odd places.
    fn nearly_json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            "true|false",
            "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            "\"([ -!#-\\[\\]-~é\u{2028}😀]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|\\\\ud83d\\\\ude0[0-9]){0,6}\"",
        ];
        let value = scalar.prop_recursive(5, 40, 5, |inner| {
            let element = (inner, "[ \t\r\n]{0,2}").prop_map(|(text, space)| text + &space);
            let member =
                ("\"[a-c \\\\n]{0,2}\" {0,2}: {0,2}", element.clone()).prop_map(|(k, v)| k + &v);
            prop_oneof![
                prop::collection::vec(element, 0..5)
                    .prop_map(|all| format!("[{}]", all.join(", "))),
                prop::collection::vec(member, 0..5)
                    .prop_map(|all| format!("{{{}}}", all.join(","))),
            ]
        });
        let damage = prop::option::weighted(0.3, (any::<prop::sample::Index>(), "[\\PC\t\n]?"));
        (value, damage).prop_map(|(text, damage)| match damage {
            None => text,
            Some((at, other)) => {
                let mut characters: Vec<String> = text.chars().map(String::from).collect();
                *at.get_mut(&mut characters) = other;
                characters.concat()
            }
        })
    }

    /// What a body means according to serde_json; `None` if that cannot tell, because it limits the
    /// size of numbers and we do not.
    fn reference(body: &str) -> Option<Result<Vec<Value>, ()>> {
        match serde_json::from_str(body) {
            Ok(Value::Array(elements)) => Some(Ok(elements)),
            Ok(value) => Some(Ok(vec![value])),
            Err(error) if error.to_string().starts_with("number out of range") => None,
            Err(_) => Some(Err(())),
        }
    }

    /// Drops white space outside strings, by the most obvious means.
    fn minified(json: &str) -> String {
        let (mut in_string, mut escaped) = (false, false);
        let mut keep = |c: char| {
            let kept = in_string || !c.is_ascii_whitespace();
            in_string ^= c == '"' && !escaped;
            escaped = c == '\\' && in_string && !escaped;
            kept
        };
        json.chars().filter(|c| keep(*c)).collect()
    }

    fn check(body: &str) -> Result<(), TestCaseError> {
        let framed = messages(body);
        if let Some(reference) = reference(body) {
            let values = framed.clone().map_err(|_| ()).map(|messages| {
                messages
                    .iter()
                    .map(|m| serde_json::from_str(m.trim_end_matches(',')).unwrap())
                    .collect()
            });
            prop_assert_eq!(values, reference);
        }
        if let Ok(messages) = framed {
            let array = String::from_utf8(wrap_to_vec(&[Bytes::from(messages.concat())])).unwrap();
            let body = minified(body);
            let expected = if body.starts_with('[') { body } else { format!("[{body}]") };
            prop_assert_eq!(array, expected);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn serde_json_agrees_about_json(body in nearly_json()) {
            check(&body)?;
        }

        #[test]
        fn serde_json_agrees_about_token_soup(body in "[\\[\\]{},:\"\\\\ \n0-2.eE+tru-]{0,12}") {
            check(&body)?;
        }

        #[test]
        fn framing_never_panics(body: Vec<u8>) {
            prop_assert_eq!(frame(&body).is_ok(), serde_json::from_slice::<Value>(&body).is_ok());
        }
    }
}
