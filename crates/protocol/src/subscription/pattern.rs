//! Patterns: globs over the names of streams (PROTOCOL.md section 6.2).

use std::fmt;

/// The longest pattern, in bytes: the longest name of a stream.
pub const MAX_PATTERN_BYTES: usize = crate::MAX_NAME_BYTES;

/// A glob over stream names: `*` matches one segment, `**` zero or more, anything else itself.
///
/// Slashes at its ends do not count. `events/**` matches `events`, too.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This very text.
    Literal(String),
    /// `*`
    One,
    /// `**`
    Any,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing but slashes.
    #[error("the pattern is empty")]
    Empty,
    /// Longer than [`MAX_PATTERN_BYTES`].
    #[error("the pattern is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// A star beside other characters; it would match nothing but itself.
    #[error("a `*` stands for a whole segment: write `a/*`, not `a*`")]
    PartOfSegment,
    /// Holds a control character, so that it matches no name.
    #[error("the pattern holds a control character")]
    ControlCharacter,
}

impl Pattern {
    /// Checks and normalises a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let text = text.trim_matches('/');
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(InvalidPattern::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidPattern::ControlCharacter);
        }
        let mut segments: Vec<Segment> = text.split('/').map(segment).collect::<Result<_, _>>()?;
        // Two in a row match what one does.
        segments.dedup_by(|a, b| *a == Segment::Any && *b == Segment::Any);
        let words = segments.iter().map(Segment::as_str).collect::<Vec<_>>();
        Ok(Self { text: words.join("/"), segments })
    }

    /// The pattern as text, normalised.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What every name that matches begins with; for listing candidates.
    pub fn literal_prefix(&self) -> String {
        let literals = self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::One | Segment::Any => None,
        });
        literals.collect::<Vec<_>>().join("/")
    }

    /// Whether a name matches.
    pub fn matches(&self, name: &str) -> bool {
        // The states in which the segments read so far can leave us: a set, so `**` costs no search.
        let last = self.segments.len();
        let mut states = vec![false; last + 1];
        states[0] = true;
        for word in name.split('/') {
            let mut next = vec![false; last + 1];
            skip_any(&self.segments, &mut states);
            for (at, segment) in self.segments.iter().enumerate().filter(|(at, _)| states[*at]) {
                match segment {
                    Segment::Any => next[at] = true,
                    Segment::One => next[at + 1] = true,
                    Segment::Literal(text) if text == word => next[at + 1] = true,
                    Segment::Literal(_) => {}
                }
            }
            states = next;
        }
        skip_any(&self.segments, &mut states);
        states[last]
    }
}

/// A `**` may match nothing.
fn skip_any(segments: &[Segment], states: &mut [bool]) {
    for (at, segment) in segments.iter().enumerate() {
        if states[at] && *segment == Segment::Any {
            states[at + 1] = true;
        }
    }
}

impl Segment {
    fn as_str(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::One => "*",
            Self::Any => "**",
        }
    }
}

fn segment(text: &str) -> Result<Segment, InvalidPattern> {
    match text {
        "*" => Ok(Segment::One),
        "**" => Ok(Segment::Any),
        text if text.contains('*') => Err(InvalidPattern::PartOfSegment),
        text => Ok(Segment::Literal(text.into())),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rules as one would write them on paper.
    pub(crate) fn naive(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => {
                (0..=name.len()).any(|skipped| naive(rest, &name[skipped..]))
            }
            (Some((&"*", rest)), Some((_, tail))) => naive(rest, tail),
            (Some((word, rest)), Some((head, tail))) => word == head && naive(rest, tail),
            _ => false,
        }
    }

    #[test]
    fn stars_stand_for_segments() {
        for (pattern, name, expected) in [
            ("events/*", "events/a", true),
            ("events/*", "events", false),
            ("events/*", "events/a/b", false),
            ("/events/*/", "events/a", true),
            ("**", "a/b/c", true),
            ("events/**", "events", true),
            ("events/**", "events/a/b", true),
            ("**/b", "b", true),
            ("a/**/**/b", "a/x/y/b", true),
            ("a/**/b", "a/b/c", false),
            ("a/*/c", "a//c", true),
            ("a", "a", true),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
        assert_eq!(Pattern::parse("a/b/*/c").unwrap().literal_prefix(), "a/b");
        assert_eq!(Pattern::parse("/a/**/**/").unwrap().as_str(), "a/**");
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "x".repeat(MAX_PATTERN_BYTES + 1);
        for (text, error) in [
            ("", InvalidPattern::Empty),
            ("//", InvalidPattern::Empty),
            ("a*", InvalidPattern::PartOfSegment),
            ("a/***", InvalidPattern::PartOfSegment),
            ("a\n", InvalidPattern::ControlCharacter),
            (long.as_str(), InvalidPattern::TooLong),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_rules(
            pattern in prop::collection::vec("a|b|\\*|\\*\\*", 1..6),
            name in prop::collection::vec("a|b|c", 1..6),
        ) {
            let words: Vec<&str> = pattern.iter().map(String::as_str).collect();
            let segments: Vec<&str> = name.iter().map(String::as_str).collect();
            let parsed = Pattern::parse(&pattern.join("/")).unwrap();
            prop_assert_eq!(parsed.matches(&name.join("/")), naive(&words, &segments));
        }
    }
}
