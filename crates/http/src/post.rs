//! POST: append and close (sections 5.2 and 5.3).

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use streamkeeper::{AppendRequest, Appended, ContentType, Outcome, Producer};
use streamkeeper_protocol::{StreamSeq, header as protocol, header_name};

use crate::body::ReadBody;
use crate::response::Room;
use crate::target::Target;
use crate::{Api, Problem, header};

pub(crate) async fn handle(api: &Api, target: Target, body: ReadBody) -> Result<Response, Problem> {
    let ReadBody { bytes, permit } = body;
    let request = append_request(target.headers(), bytes)?;
    // The head is let go before the wait: it would keep the connection's read buffer from being used again.
    let Target { name, request: head, .. } = target;
    let room = Room::of(head);
    let appended = api.keeper.append_with(&name, request, permit).await?;
    Ok(accepted(&appended, room))
}

fn append_request(headers: &HeaderMap, bytes: Bytes) -> Result<AppendRequest, Problem> {
    let given = Given::of(headers);
    Ok(AppendRequest {
        // A mere closing may carry whatever type its client attaches (section 5.2).
        content_type: match bytes.is_empty() {
            true => None,
            false => given.content_type.map_or(Ok(None), parse_content_type)?,
        },
        producer: producer(&given)?,
        seq: seq(&given)?,
        close: given.closed.is_some_and(protocol::stream_closed),
        body: bytes,
    })
}

/// The headers of an append as they came.
#[derive(Default)]
struct Given<'a> {
    content_type: Option<&'a [u8]>,
    closed: Option<&'a [u8]>,
    seq: Option<&'a [u8]>,
    producer_id: Option<&'a [u8]>,
    producer_epoch: Option<&'a [u8]>,
    producer_seq: Option<&'a [u8]>,
}

impl<'a> Given<'a> {
    /// Finds them in one pass: a request has few headers, and looking each of ours up costs more. Of a header that is
    /// given twice, the first counts.
    fn of(headers: &'a HeaderMap) -> Self {
        let mut given = Self::default();
        for (name, value) in headers {
            let slot = match name.as_str() {
                "content-type" => &mut given.content_type,
                header_name::STREAM_CLOSED => &mut given.closed,
                header_name::STREAM_SEQ => &mut given.seq,
                header_name::PRODUCER_ID => &mut given.producer_id,
                header_name::PRODUCER_EPOCH => &mut given.producer_epoch,
                header_name::PRODUCER_SEQ => &mut given.producer_seq,
                _ => continue,
            };
            slot.get_or_insert(value.as_bytes());
        }
        given
    }
}

fn accepted(appended: &Appended, room: Room) -> Response {
    let fresh = appended.outcome == Outcome::Appended && appended.producer.is_some();
    let status = match fresh {
        true => StatusCode::OK,
        false => StatusCode::NO_CONTENT,
    };
    let mut response = room.response(status, Body::empty());
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
    header::get(headers, &CONTENT_TYPE).map_or(Ok(None), parse_content_type)
}

fn parse_content_type(value: &[u8]) -> Result<Option<ContentType>, Problem> {
    if value.is_empty() {
        return Ok(None);
    }
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

fn producer(given: &Given<'_>) -> Result<Option<Producer>, Problem> {
    let Given { producer_id, producer_epoch, producer_seq, .. } = *given;
    Producer::parse(producer_id, producer_epoch, producer_seq)
        .map_err(|error| Problem::invalid("invalid_producer", error))
}

fn seq(given: &Given<'_>) -> Result<Option<StreamSeq>, Problem> {
    given
        .seq
        .map(StreamSeq::parse)
        .transpose()
        .map_err(|error| Problem::invalid("invalid_stream_seq", error))
}
