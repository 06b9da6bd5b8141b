//! POST: append and close (sections 5.2 and 5.3).

use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use streamkeeper::{AppendRequest, Appended, ContentType, Outcome, Producer};
use streamkeeper_protocol::{StreamSeq, header as protocol};

use crate::body::ReadBody;
use crate::target::Target;
use crate::{Api, Problem, header, response};

pub(crate) async fn handle(
    api: &Api,
    target: &Target,
    headers: &HeaderMap,
    body: ReadBody,
) -> Result<Response, Problem> {
    let ReadBody { bytes, permit } = body;
    let request = AppendRequest {
        // A mere closing may carry whatever type its client attaches (section 5.2).
        content_type: match bytes.is_empty() {
            true => None,
            false => content_type(headers)?,
        },
        producer: producer(headers)?,
        seq: seq(headers)?,
        close: is_closed(headers),
        body: bytes,
    };
    let appended = api.keeper.append_with(&target.name, request, permit).await?;
    Ok(accepted(&appended))
}

fn accepted(appended: &Appended) -> Response {
    let fresh = appended.outcome == Outcome::Appended && appended.producer.is_some();
    let mut response = response::empty(match fresh {
        true => StatusCode::OK,
        false => StatusCode::NO_CONTENT,
    });
    let headers = response.headers_mut();
    headers.insert(header::STREAM_NEXT_OFFSET, header::offset(appended.next_offset));
    if appended.closed {
        headers.insert(header::STREAM_CLOSED, header::TRUE);
    }
    if let Some(producer) = appended.producer {
        headers.insert(header::PRODUCER_EPOCH, header::value(producer.epoch));
        headers.insert(header::PRODUCER_SEQ, header::value(producer.last_seq));
    }
    response
}

/// The request's content type, if it has one that says something.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Option<ContentType>, Problem> {
    let Some(value) = header::get(headers, &CONTENT_TYPE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value);
    let text = text.map_err(|error| Problem::invalid("invalid_content_type", error))?;
    ContentType::parse(text)
        .map(Some)
        .map_err(|error| Problem::invalid("invalid_content_type", error))
}

/// Whether the request closes the stream.
pub(crate) fn is_closed(headers: &HeaderMap) -> bool {
    header::get(headers, &header::STREAM_CLOSED).is_some_and(protocol::stream_closed)
}

fn producer(headers: &HeaderMap) -> Result<Option<Producer>, Problem> {
    let [id, epoch, seq] = [header::PRODUCER_ID, header::PRODUCER_EPOCH, header::PRODUCER_SEQ]
        .map(|name| header::get(headers, &name));
    Producer::parse(id, epoch, seq).map_err(|error| Problem::invalid("invalid_producer", error))
}

fn seq(headers: &HeaderMap) -> Result<Option<StreamSeq>, Problem> {
    header::get(headers, &header::STREAM_SEQ)
        .map(StreamSeq::parse)
        .transpose()
        .map_err(|error| Problem::invalid("invalid_stream_seq", error))
}
