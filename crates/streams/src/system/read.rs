//! Reads: catch-up and metadata. They never queue behind writes.

use std::sync::Arc;

use streamkeeper_protocol::stream::{Trimmed, resolve_start};
use streamkeeper_protocol::{Offset, ReadFrom, StreamName};
use streamkeeper_storage::{Chunk, Range, StorageError};

use super::Streamkeeper;
use crate::context::Context;
use crate::stream_supervisor::{Handle, Life, Live, Open, OpenError, View};
use crate::{Messages, Metadata, Page, ReadError, SharedChunk, Unavailable};

impl Streamkeeper {
    /// Reads one page (PROTOCOL.md section 5.6): at most `max_bytes`, but at least one message if
    /// there is one. Moves the stream's TTL.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, ReadFrom, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let name = StreamName::new("chat/1")?;
    /// keeper.create(&name, CreateRequest::text().body("hello")).await?;
    /// let mut from = ReadFrom::Start;
    /// loop {
    ///     let page = keeper.read(&name, from, 64 << 10).await?;
    ///     println!("{:?}", page.payloads());
    ///     from = ReadFrom::At(page.next_offset);
    ///     if page.up_to_date {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
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

    /// Reads one page as single messages, each with its own offset; otherwise as [`read`](Self::read).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, ReadFrom, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let name = StreamName::new("orders")?;
    /// keeper.create(&name, CreateRequest::json().body("[1, 22]")).await?;
    ///
    /// let page = keeper.read_messages(&name, ReadFrom::Start, 1 << 20).await?;
    /// assert_eq!(page.messages[1].data, "22");
    /// assert_eq!(page.messages[1].offset, page.next_offset);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_messages(
        &self,
        name: &StreamName,
        from: ReadFrom,
        max_bytes: u64,
    ) -> Result<Messages, ReadError> {
        self.read(name, from, max_bytes).await.map(|page| Messages::from(&page))
    }

    /// What is known of the stream (section 5.5). Does not move its TTL.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let name = StreamName::new("chat/1")?;
    /// keeper.create(&name, CreateRequest::text().body("hello")).await?;
    /// let metadata = keeper.metadata(&name).await?;
    /// assert_eq!(metadata.content_type.as_str(), "text/plain");
    /// assert_eq!(metadata.next_offset.position(), 5);
    /// # Ok(())
    /// # }
    /// ```
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
                let life = state.as_ref().map(|state| Life::of(state, 0, Arc::default()));
                (Err(why), View::of(state.as_ref(), life.as_ref()))
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
            None => self.read_storage(live, from, start, max_bytes).await?,
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

    /// Reads from storage, from which retention may have dropped what the view still shows.
    async fn read_storage(
        &self,
        live: &Live,
        from: ReadFrom,
        start: u64,
        max_bytes: u64,
    ) -> Result<Vec<Arc<SharedChunk>>, ReadError> {
        let chunks = self.context.read_through(live, start, max_bytes).await?;
        let first = chunks.first().map(|chunk| chunk.position);
        let may_drop = !live.config.retention.is_unlimited() || live.lineage.is_some();
        match first {
            Some(first) if first <= start || (may_drop && from == ReadFrom::Start) => {
                Ok(chunks.into_iter().map(SharedChunk::new).collect())
            }
            _ if may_drop => {
                Err(Trimmed { earliest: Offset::new(first.unwrap_or(live.tail)) }.into())
            }
            _ => Err(StorageError::Corrupt(format!("no data at position {start}")).into()),
        }
    }
}

impl Context {
    /// Reads a page from storage; a fork's may begin in its ancestors and end in its own data. Begins
    /// later than asked, or is empty, where retention has dropped data meanwhile.
    pub(crate) async fn read_through(
        &self,
        live: &Live,
        start: u64,
        max_bytes: u64,
    ) -> Result<Vec<Chunk>, StorageError> {
        let inherited = live.lineage.iter().flat_map(|lineage| lineage.iter());
        let segments = inherited.map(|a| (a.id, a.until)).chain([(live.id, live.tail)]);
        let mut page: Vec<Chunk> = Vec::new();
        let (mut at, mut room) = (start, max_bytes);
        for (id, until) in segments {
            if at >= until {
                continue;
            }
            let range = Range { id, from: at, until, max_bytes: room };
            for chunk in self.storage.read(range).await? {
                // Only the first message of a page may be larger than the page.
                if !page.is_empty() && chunk.batch.size() > room {
                    return Ok(page);
                }
                room = room.saturating_sub(chunk.batch.size());
                at = chunk.end();
                page.push(chunk);
            }
            if at < until {
                break;
            }
        }
        Ok(page)
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
