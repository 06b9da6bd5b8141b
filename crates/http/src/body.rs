//! Request bodies: read within the limits, and refused in a way that the client gets to read.

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body;
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
pub(crate) async fn read<B>(
    api: &Api,
    headers: &HeaderMap,
    mut body: B,
) -> Result<ReadBody, Problem>
where
    B: Body<Data = Bytes, Error: ToString> + Unpin,
{
    let limit = api.options.max_body_bytes;
    // What the client has announced, if it has.
    if body.size_hint().lower() > limit as u64 {
        if !headers.contains_key(EXPECT) {
            Box::pin(discard(api, body)).await;
        }
        return Err(Problem::body_too_large(limit));
    }
    match collect(api, &mut body, limit).await {
        Ok(read) => Ok(read),
        Err(Refused::Broken(problem)) => Err(problem),
        Err(Refused::TooLarge) => {
            Box::pin(discard(api, body)).await;
            Err(Problem::body_too_large(limit))
        }
        Err(Refused::Overloaded(why)) => {
            Box::pin(discard(api, body)).await;
            Err(why.into())
        }
    }
}

enum Refused {
    TooLarge,
    Overloaded(Unavailable),
    Broken(Problem),
}

async fn collect<B>(api: &Api, body: &mut B, limit: usize) -> Result<ReadBody, Refused>
where
    B: Body<Data = Bytes, Error: ToString> + Unpin,
{
    let mut permit = api.keeper.permit(0).map_err(Refused::Overloaded)?;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while !body.is_end_stream()
        && let Some(data) = next(api, body).await.map_err(Refused::Broken)?
    {
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

async fn next<B>(api: &Api, body: &mut B) -> Result<Option<Bytes>, Problem>
where
    B: Body<Data = Bytes, Error: ToString> + Unpin,
{
    loop {
        // Most bodies are here already, and a timer would cost more than reading them.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => wait(api, body).await?,
        };
        match frame {
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

type Frame<B> = Result<http_body::Frame<Bytes>, <B as Body>::Error>;

async fn wait<B>(api: &Api, body: &mut B) -> Result<Option<Frame<B>>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    // Boxed, so that a timer takes no room in the requests that need none.
    let frame = Box::pin(timeout(api.options.body_timeout, body.frame()));
    frame.await.map_err(|_| Problem::body_timeout())
}

async fn discard<B>(api: &Api, mut body: B)
where
    B: Body<Data = Bytes, Error: ToString> + Unpin,
{
    let mut discarded = 0;
    while let Ok(Some(data)) = next(api, &mut body).await {
        discarded += data.len();
        if discarded > MAX_DISCARDED_BYTES {
            return;
        }
    }
}
