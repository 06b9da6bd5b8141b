//! Entity tags: the cache validators of reads (PROTOCOL.md section 10.1).

use std::fmt::{self, Write};

use crate::Offset;

/// The entity tag of one read: which stream, from where to where, and whether it is closed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// The tag of a read from `start` to `end`.
    ///
    /// The id must differ between streams that share a name over time, and hold neither quotes nor
    /// spaces nor control characters. A closed stream has another tag than an open one, so that a
    /// 304 cannot hide the end.
    pub fn new(stream_id: impl fmt::Display, start: Offset, end: Offset, closed: bool) -> Self {
        let mut tag = String::with_capacity(ROOM);
        tag.push('"');
        // Writing to a string does not fail.
        let _ = write!(tag, "{stream_id}");
        for position in [start.position(), end.position()] {
            tag.push(':');
            push_decimal(&mut tag, position);
        }
        if closed {
            tag.push_str(":c");
        }
        tag.push('"');
        Self(tag)
    }

    /// The tag with its quotes.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The tag with its quotes, as the value of an `ETag` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an `If-None-Match` value names this tag (RFC 9110, section 13.1.2: weak comparison).
    ///
    /// A malformed value matches nothing: the reader then gets the data again, which is never wrong.
    pub fn matches_if_none_match(&self, header: &str) -> bool {
        let header = header.trim_matches(SPACE);
        header == "*" || self.is_listed(header).unwrap_or(false)
    }

    /// Whether the tag is in a list of tags; `None` if the list is malformed.
    fn is_listed(&self, list: &str) -> Option<bool> {
        let mut listed = false;
        let mut rest = skip_separators(list);
        while !rest.is_empty() {
            let (tag, after) = split_tag(rest)?;
            listed |= tag == self.0;
            let trimmed = after.trim_start_matches(SPACE);
            if !trimmed.is_empty() && !trimmed.starts_with(',') {
                return None;
            }
            rest = skip_separators(trimmed);
        }
        Some(listed)
    }
}

/// Room for a tag with a UUID and two positions.
const ROOM: usize = 80;

/// Appends a number. Every read makes a tag, so this takes no formatting machinery.
fn push_decimal(text: &mut String, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

/// Optional white space of HTTP.
const SPACE: [char; 2] = [' ', '\t'];

/// Lists may hold empty elements.
fn skip_separators(list: &str) -> &str {
    list.trim_start_matches([' ', '\t', ','])
}

/// Splits off the first tag, quotes kept and its weakness forgotten. A tag may hold commas.
fn split_tag(list: &str) -> Option<(&str, &str)> {
    let strong = list.strip_prefix("W/").unwrap_or(list);
    let end = strong.strip_prefix('"')?.find('"')? + 2;
    Some(strong.split_at(end))
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(closed: bool) -> ETag {
        ETag::new("id", Offset::new(3), Offset::new(42), closed)
    }

    #[test]
    fn a_tag_names_the_stream_the_range_and_the_end() {
        assert_eq!(tag(false).as_str(), r#""id:3:42""#);
        assert_eq!(tag(true).as_str(), r#""id:3:42:c""#);
        let far = ETag::new("id", Offset::ZERO, Offset::new(u64::MAX), false);
        assert_eq!(far.into_string(), format!(r#""id:0:{}""#, u64::MAX));
    }

    #[test]
    fn lists_weak_tags_and_the_star_match() {
        for header in [
            "*",
            " * ",
            r#""id:3:42""#,
            r#"W/"id:3:42""#,
            r#""a,b" , W/"x","id:3:42""#,
            r#",, "id:3:42",,"#,
            "\"id:3:42\"\t,\"\"",
        ] {
            assert!(tag(false).matches_if_none_match(header), "{header:?}");
        }
    }

    #[test]
    fn other_tags_and_malformed_lists_do_not() {
        for header in [
            "",
            ",",
            "id:3:42",
            r#""id:3:42"#,
            r#""id:3:42:c""#,
            r#""x,"id:3:42",y""#,
            r#"w/"id:3:42""#,
            r#"W/ "id:3:42""#,
            r#""id:3:42" "x""#,
            r#""id:3:42", *"#,
            r#""id:3:42", x"#,
        ] {
            assert!(!tag(false).matches_if_none_match(header), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_found_in_any_list(
            before in prop::collection::vec("(W/)?\"[!#-~]*\"", 0..4),
            after in prop::collection::vec("(W/)?\"[!#-~]*\"", 0..4),
            closed: bool,
        ) {
            let own = tag(closed).to_string();
            let list: Vec<String> = before.into_iter().chain([own]).chain(after).collect();
            prop_assert!(tag(closed).matches_if_none_match(&list.join(", ")));
        }

        #[test]
        fn matching_never_panics(header in ".*", listed in "[\"W/, a*]*") {
            let _ = (tag(true).matches_if_none_match(&header), tag(true).matches_if_none_match(&listed));
        }
    }
}
