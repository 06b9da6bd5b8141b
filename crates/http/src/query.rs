//! The query of a read (sections 5.6 to 5.8).

use std::borrow::Cow;

use streamkeeper::ReadFrom;
use streamkeeper_protocol::Cursor;

use crate::Problem;

/// How a read goes on when it has all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    CatchUp,
    LongPoll,
    Sse,
}

/// A read as the query asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadQuery {
    pub(crate) mode: Mode,
    pub(crate) from: ReadFrom,
    pub(crate) cursor: Option<Cursor>,
}

impl ReadQuery {
    /// Parses a query string. Parameters that the protocol does not know are ignored.
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        let (mut offset, mut live, mut cursor) = (None, None, None);
        for (key, value) in query.split('&').filter_map(parameter) {
            let slot = match &*key {
                "offset" => &mut offset,
                "live" => &mut live,
                "cursor" => &mut cursor,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                let detail = format!("the parameter `{key}` is given more than once");
                return Err(Problem::invalid("repeated_parameter", detail));
            }
        }
        let mode = match live.as_deref() {
            None => Mode::CatchUp,
            Some("long-poll") => Mode::LongPoll,
            Some("sse") => Mode::Sse,
            Some(_) => return Err(Problem::invalid("invalid_live", "`live` is long-poll or sse")),
        };
        let from = match offset.as_deref() {
            Some(token) => {
                token.parse().map_err(|error| Problem::invalid("invalid_offset", error))?
            }
            None if mode == Mode::CatchUp => ReadFrom::Start,
            None => {
                let detail = "a live read needs the parameter `offset`";
                return Err(Problem::invalid("offset_required", detail));
            }
        };
        Ok(Self { mode, from, cursor: cursor.as_deref().and_then(Cursor::parse) })
    }
}

/// One parameter of a query; `None` if there is nothing between two separators.
fn parameter(pair: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    // Nearly always there is nothing to decode.
    if pair.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return form_urlencoded::parse(pair.as_bytes()).next();
    }
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    (!pair.is_empty()).then_some((key.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(query: &str) -> &'static str {
        ReadQuery::parse(query).map_or_else(|problem| problem.code(), |_| "ok")
    }

    #[test]
    fn queries_are_strict_about_what_they_know() {
        let token = "0000000000000000_0000000000000001";
        let cases = [
            ("", "ok"),
            ("offset=-1", "ok"),
            ("offset=now&live=sse", "ok"),
            ("other=1&other=2", "ok"),
            ("live=long-poll", "offset_required"),
            ("live=sse", "offset_required"),
            ("live=websocket&offset=-1", "invalid_live"),
            ("live=&offset=-1", "invalid_live"),
            ("offset=", "invalid_offset"),
            ("offset", "invalid_offset"),
            ("offset=a%20b", "invalid_offset"),
            ("offset=a,b", "invalid_offset"),
            ("offset=%00", "invalid_offset"),
            ("%6fffset=%2D1&&", "ok"),
            ("offset=+-1", "invalid_offset"),
            ("offset=-1&%6fffset=-1", "repeated_parameter"),
            ("=&=1&live", "invalid_live"),
            ("offset=%0d%0a", "invalid_offset"),
            ("offset=../x", "invalid_offset"),
            ("offset=-1&offset=-1", "repeated_parameter"),
            ("offset=-1&live=sse&live=sse", "repeated_parameter"),
            ("offset=-1&cursor=junk", "ok"),
        ];
        for (query, expected) in cases {
            assert_eq!(code(query), expected, "{query:?}");
        }
        assert_eq!(code(&format!("offset={token}")), "ok");
    }
}
