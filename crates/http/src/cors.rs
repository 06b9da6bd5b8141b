//! What browsers need: CORS (for `fetch` from other origins) and security headers (section 12.7).

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderMap, HeaderName,
    HeaderValue, X_CONTENT_TYPE_OPTIONS,
};

/// The methods of a stream.
pub(crate) const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE, OPTIONS");

/// Every request header of the protocol, and those of HTTP that it uses.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "content-type, authorization, accept, cache-control, if-none-match, last-event-id, \
     stream-ttl, stream-expires-at, stream-closed, stream-seq, \
     stream-retention-max-age, stream-retention-max-messages, stream-retention-max-bytes, \
     stream-forked-from, stream-fork-offset, stream-fork-sub-offset, \
     producer-id, producer-epoch, producer-seq",
);

/// Every response header of the protocol, and those of HTTP that clients read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-type, content-length, content-encoding, etag, location, retry-after, \
     stream-next-offset, stream-up-to-date, stream-closed, stream-cursor, \
     stream-ttl, stream-expires-at, stream-earliest-offset, stream-sse-data-encoding, \
     stream-retention-max-age, stream-retention-max-messages, stream-retention-max-bytes, \
     producer-epoch, producer-seq, producer-expected-seq, producer-received-seq",
);

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Adds to a response what every response carries, errors too.
pub(crate) fn decorate(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Answers OPTIONS, preflight or not.
pub(crate) fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}
