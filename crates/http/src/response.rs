//! The responses to reads: headers, caching and body of a page.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue};
use http::request::Parts;
use streamkeeper::Page;
use streamkeeper_protocol::{ETag, json};

use crate::{CacheVisibility, header, segments};

/// What may be kept and by whom (section 10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Never changes.
    History(CacheVisibility),
    /// May be another one the next moment.
    NoStore,
}

impl Caching {
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::History(CacheVisibility::Public) => {
                "public, max-age=60, stale-while-revalidate=300"
            }
            Self::History(CacheVisibility::Private) => {
                "private, max-age=60, stale-while-revalidate=300"
            }
            Self::NoStore => "no-store",
        })
    }
}

/// The entity tag of a page; varies with its beginning, its end and the closing of the stream.
pub(crate) fn etag(page: &Page) -> ETag {
    ETag::new(page.id, page.start, page.next_offset, page.closed)
}

/// Room for the headers of a response: the emptied map of its request. The connection makes its next request of it in
/// turn, so headers take no allocation.
#[derive(Default)]
pub(crate) struct Room(HeaderMap);

impl Room {
    /// Takes the room of a request that has been understood; the rest of its head is dropped.
    pub(crate) fn of(request: Parts) -> Self {
        let mut headers = request.headers;
        headers.clear();
        Self(headers)
    }

    /// A response that has no headers yet.
    pub(crate) fn response(self, status: StatusCode, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = self.0;
        response
    }
}

/// An empty response.
pub(crate) fn empty(status: StatusCode) -> Response {
    Room::default().response(status, Body::empty())
}

/// 200 with the messages of a page.
pub(crate) fn page(page: &Page, room: Room) -> Response {
    let pieces = match page.content_type.is_json() {
        true => json::wrap(&page.payloads()),
        false => page.payloads(),
    };
    let mut response = room.response(StatusCode::OK, segments::body(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, header::content_type(&page.content_type));
    position(headers, page);
    response
}

/// Where the reader stands after a page.
pub(crate) fn position(headers: &mut HeaderMap, page: &Page) {
    headers.insert(header::STREAM_NEXT_OFFSET, header::offset(page.next_offset));
    if page.up_to_date {
        headers.insert(header::STREAM_UP_TO_DATE, header::TRUE);
    }
    if page.closed {
        headers.insert(header::STREAM_CLOSED, header::TRUE);
    }
}

/// How a page may be cached, and its entity tag.
pub(crate) fn caching(headers: &mut HeaderMap, caching: Caching, etag: Option<ETag>) {
    headers.insert(CACHE_CONTROL, caching.header());
    if let Some(etag) = etag {
        headers.insert(ETAG, header::etag(etag));
    }
}
