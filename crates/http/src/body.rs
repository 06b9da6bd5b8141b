//! Request bodies: read within the limits, and refused in a way that the client gets to read.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;
use streamkeeper::{Permit, Unavailable};
use tokio::time::timeout;

use crate::{Api, Problem};

/// How much of a body that is refused is read all the same, so that its client is not cut off in the
/// middle of sending and gets the answer.
const MAX_DISCARDED_BYTES: usize = 64 << 20;

/// Bodies smaller than this are copied out of the connection's read buffer.
const MIN_SHARED_BYTES: usize = 4096;

/// A body and the permit that it was read under.
pub(crate) struct ReadBody {
    pub(crate) bytes: Bytes,
    pub(crate) permit: Permit,
}

/// Reads a request body.
pub(crate) async fn read(api: &Api, headers: &HeaderMap, body: Body) -> Result<ReadBody, Problem> {
    let limit = api.options.max_body_bytes;
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length: usize = length.unwrap_or(0);
    if length > limit {
        if !headers.contains_key(EXPECT) {
            discard(api, body).await;
        }
        return Err(Problem::body_too_large(limit));
    }
    let mut body = body;
    match collect(api, &mut body, limit).await {
        Err(Refused::TooLarge) => {
            discard(api, body).await;
            Err(Problem::body_too_large(limit))
        }
        Err(Refused::Overloaded(why)) => {
            discard(api, body).await;
            Err(why.into())
        }
        Err(Refused::Broken(problem)) => Err(problem),
        Ok(read) => Ok(read),
    }
}

enum Refused {
    TooLarge,
    Overloaded(Unavailable),
    Broken(Problem),
}

async fn collect(api: &Api, body: &mut Body, limit: usize) -> Result<ReadBody, Refused> {
    let mut permit = api.keeper.permit(0).map_err(Refused::Overloaded)?;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(data) = next(api, body).await.map_err(Refused::Broken)? {
        if first.len() + rest.len() + data.len() > limit {
            return Err(Refused::TooLarge);
        }
        permit.grow(data.len()).map_err(Refused::Overloaded)?;
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    // Most bodies come in one piece, which is a part of the connection's read buffer. A large one is not
    // copied; a small one is, or else it would keep all of the buffer in memory for as long as it lives.
    if rest.is_empty() {
        let bytes = match first.len() < MIN_SHARED_BYTES {
            true => Bytes::copy_from_slice(&first),
            false => first,
        };
        return Ok(ReadBody { bytes, permit });
    }
    let mut all = BytesMut::with_capacity(first.len() + rest.len());
    all.extend_from_slice(&first);
    all.extend_from_slice(&rest);
    Ok(ReadBody { bytes: all.freeze(), permit })
}

async fn next(api: &Api, body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = timeout(api.options.body_timeout, body.frame()).await;
        match frame.map_err(|_| Problem::body_timeout())? {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                // Trailers, or nothing.
                _ => {}
            },
            Some(Err(error)) => return Err(Problem::invalid("incomplete_body", error)),
        }
    }
}

async fn discard(api: &Api, mut body: Body) {
    let mut discarded = 0;
    while let Ok(Some(data)) = next(api, &mut body).await {
        discarded += data.len();
        if discarded > MAX_DISCARDED_BYTES {
            return;
        }
    }
}
