//! HEAD: what is known of a stream (section 5.5).

use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use streamkeeper::{Expiry, Offset};

use crate::response::Caching;
use crate::target::Target;
use crate::{Api, Problem, header, response, retention};

pub(crate) async fn handle(api: &Api, target: Target) -> Result<Response, Problem> {
    let metadata = api.keeper.metadata(&target.name).await?;
    let mut response = response::empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, header::content_type(&metadata.content_type));
    headers.insert(CACHE_CONTROL, Caching::NoStore.header());
    headers.insert(header::STREAM_NEXT_OFFSET, header::offset(metadata.next_offset));
    match metadata.expiry {
        Expiry::Never => {}
        Expiry::Ttl(ttl) => {
            headers.insert(header::STREAM_TTL, header::value(ttl));
        }
        Expiry::At(at) => {
            headers.insert(header::STREAM_EXPIRES_AT, header::value(at.to_rfc3339()));
        }
    }
    retention::tell(&metadata.retention, headers);
    if metadata.earliest_offset != Offset::ZERO {
        headers.insert(header::STREAM_EARLIEST_OFFSET, header::offset(metadata.earliest_offset));
    }
    if metadata.closed {
        headers.insert(header::STREAM_CLOSED, header::TRUE);
    }
    Ok(response)
}
