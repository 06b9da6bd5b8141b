//! `Stream-Retention-*`, our extension: set at creation, told by HEAD.

use http::header::HeaderMap;
use streamkeeper::Retention;
use streamkeeper_protocol::header as protocol;

use crate::{Problem, header};

/// What a creation asks for; `None` if it says nothing.
pub(crate) fn requested(headers: &HeaderMap) -> Result<Option<Retention>, Problem> {
    let invalid = |error| Problem::invalid("invalid_retention", error);
    let limit = |name| {
        let value = header::get(headers, name);
        value.map(protocol::retention_limit).transpose().map_err(invalid)
    };
    let age = header::get(headers, &header::STREAM_RETENTION_MAX_AGE);
    let retention = Retention {
        max_age: age.map(protocol::retention_age).transpose().map_err(invalid)?,
        max_messages: limit(&header::STREAM_RETENTION_MAX_MESSAGES)?,
        max_bytes: limit(&header::STREAM_RETENTION_MAX_BYTES)?,
    };
    Ok((!retention.is_unlimited()).then_some(retention))
}

/// Adds the limits that a stream has.
pub(crate) fn tell(retention: &Retention, headers: &mut HeaderMap) {
    if let Some(age) = retention.max_age {
        headers.insert(header::STREAM_RETENTION_MAX_AGE, header::value(age));
    }
    if let Some(messages) = retention.max_messages {
        headers.insert(header::STREAM_RETENTION_MAX_MESSAGES, header::value(messages));
    }
    if let Some(bytes) = retention.max_bytes {
        headers.insert(header::STREAM_RETENTION_MAX_BYTES, header::value(bytes));
    }
}
