//! The compaction of one stream: ask for the plan, find the cut, have the stream truncated there.
//!
//! Only the plan and the truncation go through the stream's actor. The messages in between are read
//! from storage, page by page, so that nobody's append waits for it.

use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{Compaction, Cut};
use streamkeeper_storage::StorageError;

use crate::Unavailable;
use crate::context::Context;
use crate::stream_supervisor::stream::message::Message;
use crate::stream_supervisor::{CallError, Handle, Live, Open, OpenError};

/// How much is read at once to find the cut.
const PAGE_BYTES: u64 = 256 << 10;

/// Drops what the stream's policy lets go, if anything.
pub(super) async fn compact(context: &Arc<Context>, name: &StreamName) -> Result<(), Unavailable> {
    let handle = match context.open(name, Open::Existing).await {
        Ok(handle) => handle,
        Err(OpenError::NotFound) => {
            context.retention.agenda.forget(name);
            return Ok(());
        }
        Err(OpenError::Unavailable(why)) => return Err(why),
    };
    let plan = answer(context, name, &handle, |reply| Message::PlanCompaction { reply }).await?;
    let Some(plan) = plan else { return Ok(()) };
    // The plan's answer has waited until everything that it tells of can be seen.
    let view = handle.view();
    let Some(live) = view.live().filter(|live| live.id == plan.id) else { return Ok(()) };
    let Some(cut) = find_cut(context, live, plan).await? else { return Ok(()) };
    let id = live.id;
    let dropped = answer(context, name, &handle, |reply| Message::Truncate { id, cut, reply });
    if let Some(dropped) = dropped.await? {
        let (messages, bytes) = (dropped.messages, dropped.bytes);
        tracing::debug!(stream = %name, messages, bytes, "compacted");
        context.retention.ledger.dropped(dropped);
    }
    Ok(())
}

/// `None` if the messages are gone meanwhile, or the stream is.
async fn find_cut(
    context: &Context,
    live: &Live,
    mut plan: Compaction,
) -> Result<Option<Cut>, Unavailable> {
    let own = live.lineage.iter().flat_map(|lineage| lineage.last()).map(|last| last.until).next();
    let own = own.unwrap_or(0);
    let mut ends = Vec::new();
    loop {
        if let Some(cut) = plan.look(own, ends.drain(..)) {
            return Ok(Some(cut));
        }
        let from = plan.from.position;
        let chunks = match context.read_through(live, from, PAGE_BYTES).await {
            Ok(chunks) => chunks,
            Err(StorageError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if chunks.first().is_none_or(|first| first.position != from) {
            return Ok(None);
        }
        ends.extend(chunks.iter().flat_map(|chunk| chunk.messages()).map(|(_, end)| end));
        // Storage may be ready at once, time after time.
        tokio::task::yield_now().await;
    }
}

async fn answer<T>(
    context: &Context,
    name: &StreamName,
    handle: &Arc<Handle>,
    request: impl FnOnce(tokio::sync::oneshot::Sender<Result<T, Unavailable>>) -> Message,
) -> Result<T, Unavailable> {
    match handle.call(request).await {
        Ok(answer) => answer,
        Err(CallError::NotDelivered) => {
            context.registry.found_dead(name, handle);
            Err(Unavailable::Restarting)
        }
        Err(CallError::OutcomeUnknown) => Err(Unavailable::OutcomeUnknown),
    }
}
