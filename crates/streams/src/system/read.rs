//! Reads: catch-up and metadata. They never queue behind writes.

use std::sync::Arc;

use streamkeeper_protocol::stream::resolve_start;
use streamkeeper_protocol::{Offset, ReadFrom, StreamName};
use streamkeeper_storage::{Range, StorageError};

use super::Streamkeeper;
use crate::stream_supervisor::{Handle, Live, Open, OpenError, View};
use crate::{Metadata, Page, ReadError, SharedChunk, Unavailable};

impl Streamkeeper {
    /// Reads one page (PROTOCOL.md section 5.6): at most `max_bytes`, but at least one message if
    /// there is one. Moves the stream's TTL.
    pub async fn read(
        &self,
        name: &StreamName,
        from: ReadFrom,
        max_bytes: u64,
    ) -> Result<Page, ReadError> {
        let (handle, live) = self.look(name).await?;
        if let Ok(handle) = &handle {
            self.touch(name, handle, &live);
        }
        self.page(&live, from, max_bytes).await
    }

    /// What is known of the stream (section 5.5). Does not move its TTL.
    pub async fn metadata(&self, name: &StreamName) -> Result<Metadata, ReadError> {
        let (_, live) = self.look(name).await?;
        Ok(Metadata {
            id: live.id,
            content_type: live.config.content_type.clone(),
            expiry: live.config.expiry,
            retention: live.config.retention,
            earliest_offset: Offset::new(live.earliest),
            next_offset: Offset::new(live.tail),
            closed: live.closed,
        })
    }

    /// Notes a use of the stream, which moves its TTL.
    pub(super) fn touch(&self, name: &StreamName, handle: &Handle, live: &Live) {
        if !handle.touch(live, self.context.clock.now()) {
            // It has gone dormant this moment; its next actor records the use.
            self.context.wake(name.clone());
        }
    }

    /// What can be read of a stream now, and its actor. A quarantined stream has none, and is read all
    /// the same.
    pub(super) async fn look(
        &self,
        name: &StreamName,
    ) -> Result<(Result<Arc<Handle>, Unavailable>, Live), ReadError> {
        let (handle, view) = match self.context.open(name, Open::Existing).await {
            Ok(handle) => {
                let view = handle.view();
                (Ok(handle), view)
            }
            Err(OpenError::Unavailable(why @ Unavailable::Quarantined { .. })) => {
                let state = self.context.storage.load(name).await?;
                let state = state.filter(|state| !state.is_expired(self.context.clock.now()));
                (Err(why), View::of(state.as_ref(), &crate::stream_supervisor::no_recent()))
            }
            Err(OpenError::NotFound) => return Err(ReadError::NotFound),
            Err(OpenError::Unavailable(why)) => return Err(why.into()),
        };
        let live = readable(&view)?;
        let now = self.context.clock.now();
        if handle.as_ref().is_ok_and(|handle| handle.is_expired(live, now)) {
            return Err(ReadError::NotFound);
        }
        Ok((handle, live.clone()))
    }

    /// One page of what the view shows: the offset, the data and the closure are of one moment.
    pub(super) async fn page(
        &self,
        live: &Live,
        from: ReadFrom,
        max_bytes: u64,
    ) -> Result<Page, ReadError> {
        let start = resolve_start(from, live.earliest, live.tail)?;
        let chunks = match live.recent.read(start, live.tail, max_bytes) {
            _ if start == live.tail => Vec::new(),
            Some(chunks) => chunks,
            None => self.read_storage(live, start, max_bytes).await?,
        };
        let first = chunks.first().map_or(start, |shared| shared.chunk.position);
        let end = chunks.last().map_or(start, |shared| shared.chunk.end());
        let up_to_date = end == live.tail;
        Ok(Page {
            id: live.id,
            content_type: live.config.content_type.clone(),
            start: Offset::new(first),
            next_offset: Offset::new(end),
            chunks,
            up_to_date,
            closed: up_to_date && live.closed,
        })
    }

    /// Reads from storage; a fork's page may begin in its ancestors and end in its own data.
    async fn read_storage(
        &self,
        live: &Live,
        start: u64,
        max_bytes: u64,
    ) -> Result<Vec<Arc<SharedChunk>>, ReadError> {
        let inherited = live.lineage.iter().flat_map(|lineage| lineage.iter());
        let segments = inherited.map(|a| (a.id, a.until)).chain([(live.id, live.tail)]);
        let mut page: Vec<Arc<SharedChunk>> = Vec::new();
        let (mut at, mut room) = (start, max_bytes);
        for (id, until) in segments {
            if at >= until {
                continue;
            }
            let range = Range { id, from: at, until, max_bytes: room };
            for chunk in self.context.storage.read(range).await? {
                // Only the first message of a page may be larger than the page.
                if !page.is_empty() && chunk.batch.size() > room {
                    return Ok(page);
                }
                room = room.saturating_sub(chunk.batch.size());
                at = chunk.end();
                page.push(SharedChunk::new(chunk));
            }
            if at < until {
                break;
            }
        }
        match page.is_empty() {
            true => Err(StorageError::Corrupt(format!("no data at position {start}")).into()),
            false => Ok(page),
        }
    }
}

/// The stream of a view, if it can be read.
pub(super) fn readable(view: &View) -> Result<&Live, ReadError> {
    match view {
        View::Live(live) => Ok(live),
        View::SoftDeleted => Err(ReadError::Gone),
        View::Absent => Err(ReadError::NotFound),
    }
}
