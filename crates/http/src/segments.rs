//! A response body of several pieces, sent without joining them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Pieces of a body whose length is known, so that it is sent with a `Content-Length`.
#[derive(Debug)]
pub(crate) struct Segments {
    pieces: VecDeque<Bytes>,
    remaining: u64,
}

/// A body of the given pieces.
pub(crate) fn body(pieces: Vec<Bytes>) -> Body {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([piece]) => Body::from(piece),
        Err(pieces) => {
            let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
            Body::new(Segments { pieces: pieces.into(), remaining })
        }
    }
}

impl http_body::Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.remaining -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
