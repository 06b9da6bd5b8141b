//! Append and close.

use std::sync::Arc;

use bytes::Bytes;
use streamkeeper_protocol::stream::{Append, AppendRejection};
use streamkeeper_protocol::{Batch, ContentType, Offset, Producer, StreamName, json};

use super::Streamkeeper;
use crate::limits::Permit;
use crate::stream_supervisor::stream::message::Message;
use crate::stream_supervisor::{CallError, Handle, Open, OpenError, View};
use crate::{AppendError, AppendRequest, Appended, Unavailable};

impl Streamkeeper {
    /// Appends messages, closes the stream, or both in one step (PROTOCOL.md sections 5.2 and 5.3).
    ///
    /// The answer comes when the change is durable. A body for a JSON stream is one message, or an
    /// array of messages.
    pub async fn append(
        &self,
        name: &StreamName,
        request: AppendRequest,
    ) -> Result<Appended, AppendError> {
        let permit = self.permit(request.body.len())?;
        self.append_with(name, request, permit).await
    }

    /// [`append`](Self::append) with a permit that was taken before the body was read.
    pub async fn append_with(
        &self,
        name: &StreamName,
        request: AppendRequest,
        permit: Permit,
    ) -> Result<Appended, AppendError> {
        let bytes = request.body.len();
        let mut handle = self.existing(name).await?;
        let append = Arc::new(frame_request(request, &handle)?);
        let mut permit = Some(permit);
        loop {
            let permits = match permit.take() {
                Some(permit) => permit,
                None => self.permit(bytes)?,
            };
            let permits = handle.admit(permits, bytes)?;
            let append = append.clone();
            match handle.call(|reply| Message::Append { append, permits, reply }).await {
                Ok(answer) => return answer,
                Err(CallError::NotDelivered) => {
                    self.context.registry.found_dead(name, &handle);
                    handle = self.existing(name).await?;
                }
                Err(CallError::OutcomeUnknown) => return Err(Unavailable::OutcomeUnknown.into()),
            }
        }
    }

    async fn existing(&self, name: &StreamName) -> Result<Arc<Handle>, AppendError> {
        self.context.open(name, Open::Existing).await.map_err(open_error)
    }
}

fn open_error(error: OpenError) -> AppendError {
    match error {
        OpenError::NotFound => AppendRejection::NotFound.into(),
        OpenError::Unavailable(why) => why.into(),
    }
}

/// Frames the body in the caller's task, so that the actor never parses.
///
/// What is JSON is framed whatever the stream is: a stream of another type refuses it anyway, and so
/// no race with a creation can bring unframed JSON into a JSON stream.
fn frame_request(request: AppendRequest, handle: &Handle) -> Result<Append, AppendError> {
    let AppendRequest { content_type, body, producer, seq, close } = request;
    let batch = match &content_type {
        Some(received) if received.is_json() && !body.is_empty() => {
            let framed = frame_json(&body);
            framed
                .map_err(|error| precedence(&handle.view(), received, &producer).unwrap_or(error))?
        }
        _ => Batch::one(body),
    };
    Ok(Append { content_type, batch, producer, seq, close })
}

fn frame_json(body: &Bytes) -> Result<Option<Batch>, AppendError> {
    json::frame(body)?.map(Some).ok_or(AppendError::EmptyArray)
}

/// What is wrong with a request before its body is: the stream's closure, then its type (section 5.2,
/// error precedence).
fn precedence(
    view: &View,
    received: &ContentType,
    producer: &Option<Producer>,
) -> Option<AppendError> {
    let live = view.live()?;
    let expected = &live.config.content_type;
    if live.closed && producer.is_none() {
        let next_offset = Offset::new(live.tail);
        return Some(AppendRejection::Closed { next_offset }.into());
    }
    let (expected, received) = (expected.clone(), received.clone());
    let mismatch = !expected.same_essence(&received);
    mismatch.then(|| AppendRejection::ContentTypeMismatch { expected, received }.into())
}
