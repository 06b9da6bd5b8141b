//! GET: catch-up reads (section 5.6), and the way to the live ones.

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderMap, IF_NONE_MATCH};
use streamkeeper::{Page, ReadFrom};
use streamkeeper_protocol::ETag;

use crate::query::{Mode, ReadQuery};
use crate::response::{self, Caching, Room};
use crate::target::Target;
use crate::{Api, Problem, long_poll, sse};

pub(crate) async fn handle(api: &Api, target: Target) -> Result<Response, Problem> {
    let query = ReadQuery::parse(target.request.uri.query().unwrap_or_default())?;
    match query.mode {
        Mode::CatchUp => catch_up(api, target, query.from).await,
        Mode::LongPoll => {
            // The request's head is let go before the wait: it would keep the connection's read buffer.
            let Target { name, .. } = target;
            Box::pin(long_poll::handle(api, name, query)).await
        }
        Mode::Sse => Box::pin(sse::handle(api, target.name, query)).await,
    }
}

async fn catch_up(api: &Api, target: Target, from: ReadFrom) -> Result<Response, Problem> {
    let page = api.keeper.read(&target.name, from, api.options.page_bytes).await?;
    let caching = match page.up_to_date {
        // The next append makes another page of it.
        true => Caching::NoStore,
        false => Caching::History(api.options.cache),
    };
    // The page of `offset=now` is another one each time, so it has no tag (section 8).
    let etag = (from != ReadFrom::Now).then(|| response::etag(&page));
    let unchanged = etag.as_ref().is_some_and(|etag| is_known(target.headers(), etag));
    let mut response = match unchanged {
        true => not_modified(&page),
        false => response::page(&page, Room::of(target.request)),
    };
    response::caching(response.headers_mut(), caching, etag);
    Ok(response)
}

/// Whether the client holds this very page already. Several headers are one list (RFC 9110).
fn is_known(headers: &HeaderMap, etag: &ETag) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    values.filter_map(|value| value.to_str().ok()).any(|list| etag.matches_if_none_match(list))
}

fn not_modified(page: &Page) -> Response {
    let mut response = response::empty(StatusCode::NOT_MODIFIED);
    response::position(response.headers_mut(), page);
    response
}
