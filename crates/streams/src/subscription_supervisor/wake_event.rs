//! The event of a wake, written into the wake stream as any other append (PROTOCOL.md section 7.2).

use std::sync::Arc;

use bytes::Bytes;
use streamkeeper_protocol::stream::{Append, StreamId};
use streamkeeper_protocol::subscription::SubscriptionId;
use streamkeeper_protocol::{Batch, Producer, ProducerId, StreamName, json};

use crate::context::Context;
use crate::stream_supervisor::stream::message::Message;
use crate::stream_supervisor::{CallError, Handle, Open, OpenError};

/// The event of one wake.
#[derive(Debug, Clone)]
pub(crate) struct WakeEvent {
    pub(crate) wake_stream: StreamName,
    pub(crate) subscription: SubscriptionId,
    /// The subscription's life: another one begins its generations anew.
    pub(crate) life: StreamId,
    /// A stream that has work.
    pub(crate) stream: StreamName,
    pub(crate) generation: u64,
}

impl WakeEvent {
    fn body(&self, context: &Context) -> Vec<u8> {
        let event = serde_json::json!({
            "type": "wake",
            "subscription_id": self.subscription.as_str(),
            "stream": self.stream.as_str(),
            "generation": self.generation,
            "ts": context.clock.now().as_millis(),
        });
        event.to_string().into_bytes()
    }

    /// Each wake is a session of an idempotent producer: written again after a crash, it is there once.
    fn producer(&self) -> Option<Producer> {
        let id = format!("subscription-{}", self.life);
        let id = ProducerId::parse(id.as_bytes()).ok()?;
        Some(Producer { id, epoch: self.generation, seq: 0 })
    }

    fn append(&self, context: &Context, handle: &Handle) -> Result<Append, String> {
        let view = handle.view();
        let live = view.live().ok_or("the wake stream does not exist")?;
        let content_type = live.config.content_type.clone();
        let mut body = self.body(context);
        let batch = match content_type.is_json() {
            true => json::frame(&body).map_err(|error| error.to_string())?,
            // One event a line.
            false => {
                body.push(b'\n');
                Batch::one(Bytes::from(body))
            }
        };
        let (content_type, producer) = (Some(content_type), self.producer());
        Ok(Append { content_type, batch, producer, seq: None, close: false })
    }
}

/// Writes the event; says why if it could not.
pub(crate) async fn write(context: &Arc<Context>, event: &WakeEvent) -> Result<(), String> {
    let open = context.open(&event.wake_stream, Open::Existing).await;
    let handle = open.map_err(|error| match error {
        OpenError::NotFound => "the wake stream does not exist".to_owned(),
        OpenError::Unavailable(why) => why.to_string(),
    })?;
    let append = Arc::new(event.append(context, &handle)?);
    let bytes = append.batch.as_ref().map_or(0, |batch| batch.payload().len());
    let permit = context.permit(bytes).map_err(|why| why.to_string())?;
    let permits = handle.admit(permit, bytes).map_err(|why| why.to_string())?;
    match handle.call(|reply| Message::Append { append, permits, reply }).await {
        Ok(answer) => answer.map(|_| ()).map_err(|error| error.to_string()),
        Err(CallError::NotDelivered) => {
            context.registry.found_dead(&event.wake_stream, &handle);
            Err("the wake stream is being restarted".into())
        }
        Err(CallError::OutcomeUnknown) => Err("the wake stream has crashed".into()),
    }
}
