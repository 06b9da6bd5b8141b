//! GET with `live=long-poll`: wait for the next messages (section 5.7).

use axum::response::Response;
use http::StatusCode;
use streamkeeper::{ReadFrom, StreamName};
use streamkeeper_protocol::Cursor;

use crate::query::ReadQuery;
use crate::response::{self, Caching, Room};
use crate::{Api, Problem, header};

pub(crate) async fn handle(
    api: &Api,
    name: StreamName,
    query: ReadQuery,
) -> Result<Response, Problem> {
    let Api { keeper, options } = api;
    let timeout = options.long_poll_timeout;
    let page = keeper.read_live(&name, query.from, options.page_bytes, timeout).await?;
    let mut response = match page.chunks.is_empty() {
        true => {
            let mut response = response::empty(StatusCode::NO_CONTENT);
            response::position(response.headers_mut(), &page);
            response::caching(response.headers_mut(), Caching::NoStore, None);
            response
        }
        false => {
            let mut response = response::page(&page, Room::default());
            // Kept under the cursor, which is another one soon, so many readers can share it; but "now" is
            // another place for each of them.
            let etag = response::etag(&page);
            let (caching, etag) = match query.from {
                ReadFrom::Now => (Caching::NoStore, None),
                _ => (Caching::History(options.cache), Some(etag)),
            };
            response::caching(response.headers_mut(), caching, etag);
            response
        }
    };
    if !page.closed {
        let cursor = Cursor::next(keeper.now(), query.cursor, keeper.draw());
        response.headers_mut().insert(header::STREAM_CURSOR, header::value(cursor));
    }
    Ok(response)
}
