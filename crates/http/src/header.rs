//! The protocol's header names as HTTP header names, and how values are read and written.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use streamkeeper_protocol::{ContentType, ETag, Offset, header_name as name};

pub(crate) const STREAM_NEXT_OFFSET: HeaderName = HeaderName::from_static(name::STREAM_NEXT_OFFSET);
pub(crate) const STREAM_UP_TO_DATE: HeaderName = HeaderName::from_static(name::STREAM_UP_TO_DATE);
pub(crate) const STREAM_CLOSED: HeaderName = HeaderName::from_static(name::STREAM_CLOSED);
pub(crate) const STREAM_CURSOR: HeaderName = HeaderName::from_static(name::STREAM_CURSOR);
pub(crate) const STREAM_TTL: HeaderName = HeaderName::from_static(name::STREAM_TTL);
pub(crate) const STREAM_EXPIRES_AT: HeaderName = HeaderName::from_static(name::STREAM_EXPIRES_AT);
pub(crate) const STREAM_FORKED_FROM: HeaderName = HeaderName::from_static(name::STREAM_FORKED_FROM);
pub(crate) const STREAM_FORK_OFFSET: HeaderName = HeaderName::from_static(name::STREAM_FORK_OFFSET);
pub(crate) const STREAM_FORK_SUB_OFFSET: HeaderName =
    HeaderName::from_static(name::STREAM_FORK_SUB_OFFSET);
pub(crate) const PRODUCER_EPOCH: HeaderName = HeaderName::from_static(name::PRODUCER_EPOCH);
pub(crate) const PRODUCER_SEQ: HeaderName = HeaderName::from_static(name::PRODUCER_SEQ);
pub(crate) const PRODUCER_EXPECTED_SEQ: HeaderName =
    HeaderName::from_static(name::PRODUCER_EXPECTED_SEQ);
pub(crate) const PRODUCER_RECEIVED_SEQ: HeaderName =
    HeaderName::from_static(name::PRODUCER_RECEIVED_SEQ);
pub(crate) const STREAM_SSE_DATA_ENCODING: HeaderName =
    HeaderName::from_static(name::STREAM_SSE_DATA_ENCODING);
pub(crate) const STREAM_RETENTION_MAX_AGE: HeaderName =
    HeaderName::from_static(name::STREAM_RETENTION_MAX_AGE);
pub(crate) const STREAM_RETENTION_MAX_MESSAGES: HeaderName =
    HeaderName::from_static(name::STREAM_RETENTION_MAX_MESSAGES);
pub(crate) const STREAM_RETENTION_MAX_BYTES: HeaderName =
    HeaderName::from_static(name::STREAM_RETENTION_MAX_BYTES);
pub(crate) const STREAM_EARLIEST_OFFSET: HeaderName =
    HeaderName::from_static(name::STREAM_EARLIEST_OFFSET);

/// `true`, the value of every protocol header that is there or not.
pub(crate) const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The value of a header as it came, if it came.
pub(crate) fn get<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    headers.get(name).map(HeaderValue::as_bytes)
}

/// The value of an offset.
pub(crate) fn offset(offset: Offset) -> HeaderValue {
    HeaderValue::from_bytes(&offset.token()).unwrap_or(HeaderValue::from_static(""))
}

/// The value of a content type.
pub(crate) fn content_type(content_type: &ContentType) -> HeaderValue {
    match content_type.as_static() {
        Some(common) => HeaderValue::from_static(common),
        None => {
            HeaderValue::from_str(content_type.as_str()).unwrap_or(HeaderValue::from_static(""))
        }
    }
}

/// The value of an entity tag.
pub(crate) fn etag(etag: ETag) -> HeaderValue {
    HeaderValue::try_from(etag.into_string()).unwrap_or(HeaderValue::from_static(""))
}

/// A value that the server made; such a value is always one that HTTP can carry.
pub(crate) fn value(text: impl ToString) -> HeaderValue {
    HeaderValue::try_from(text.to_string()).unwrap_or(HeaderValue::from_static(""))
}
