//! Live reads: wait for the next page (long-poll), or follow a stream page by page.

use std::sync::Arc;
use std::time::Duration;

use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::{Offset, ReadFrom, StreamName};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Streamkeeper;
use super::read::readable;
use crate::stream_supervisor::stream::message::{Follow, Message};
use crate::stream_supervisor::{CallError, Handle, Live, View, Waiter};
use crate::{Page, ReadError};

impl Streamkeeper {
    /// Reads one page, or waits for the next messages, the closing or the end of the stream if there
    /// are none yet (PROTOCOL.md section 5.7). After the timeout the page is empty.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use streamkeeper::{AppendRequest, CreateRequest, ReadFrom, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let name = StreamName::new("chat/1")?;
    /// keeper.create(&name, CreateRequest::text()).await?;
    /// let writer = keeper.clone();
    /// let same = name.clone();
    /// tokio::spawn(async move { writer.append(&same, AppendRequest::text("hello")).await });
    ///
    /// let page = keeper.read_live(&name, ReadFrom::Now, 1 << 20, Duration::from_secs(30)).await?;
    /// assert_eq!(page.payloads(), ["hello"]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_live(
        &self,
        name: &StreamName,
        from: ReadFrom,
        max_bytes: u64,
        timeout: Duration,
    ) -> Result<Page, ReadError> {
        let deadline = Instant::now() + timeout;
        let (mut handle, mut live) = self.look(name).await?;
        if let Ok(handle) = &handle {
            self.touch(name, handle, &live);
        }
        let mut page = self.page(&live, from, max_bytes).await?;
        while page.chunks.is_empty() && !page.closed {
            let waited = handle?;
            let view = match self.wait(&waited, &page, deadline).await {
                Waited::News(view) => view,
                Waited::Nothing => return Ok(page),
                Waited::Crashed => {
                    self.context.registry.found_dead(name, &waited);
                    let (again, found) = self.look(name).await?;
                    handle = again;
                    live = same_life(found, page.id)?;
                    page = self.page(&live, ReadFrom::At(page.next_offset), max_bytes).await?;
                    continue;
                }
            };
            handle = Ok(waited);
            live = same_life(readable(&view)?.clone(), page.id)?;
            page = self.page(&live, ReadFrom::At(page.next_offset), max_bytes).await?;
        }
        Ok(page)
    }

    /// Registers with the actor, which answers when there is news, at once if there is some already:
    /// no wake-up is lost.
    async fn wait(&self, handle: &Arc<Handle>, page: &Page, deadline: Instant) -> Waited {
        let position = page.next_offset.position();
        let news = handle.call(|reply: oneshot::Sender<Arc<View>>| {
            Message::Wait(Waiter { id: page.id, position, reply })
        });
        tokio::select! {
            biased;
            news = timeout_at(deadline, news) => match news {
                Ok(Ok(view)) => Waited::News(view),
                Ok(Err(CallError::NotDelivered | CallError::OutcomeUnknown)) => Waited::Crashed,
                Err(_) => Waited::Nothing,
            },
            () = self.context.closing.cancelled() => Waited::Nothing,
        }
    }

    /// Follows a stream from an offset on (section 5.8). Moves its TTL now, not with every page.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, ReadFrom, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let name = StreamName::new("chat/1")?;
    /// keeper.create(&name, CreateRequest::text().body("hello").closed()).await?;
    /// let mut subscription = keeper.subscribe(&name, ReadFrom::Start, 1 << 20).await?;
    /// while let Some(page) = subscription.next().await? {
    ///     println!("{:?}, closed: {}", page.payloads(), page.closed);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe(
        &self,
        name: &StreamName,
        from: ReadFrom,
        max_bytes: u64,
    ) -> Result<Subscription, ReadError> {
        let (handle, live) = self.look(name).await?;
        let handle = handle?;
        self.touch(name, &handle, &live);
        // Tells early of an offset that was dropped, and brings one past the tail back.
        let first = self.page(&live, from, max_bytes).await?;
        let mut subscription = Subscription {
            system: self.clone(),
            name: name.clone(),
            id: live.id,
            max_bytes,
            next_offset: first.start,
            content_type: live.config.content_type.clone(),
            follow: None,
            first: Some(first),
            ended: false,
        };
        subscription.follow(&handle).await?;
        Ok(subscription)
    }
}

enum Waited {
    News(Arc<View>),
    Nothing,
    Crashed,
}

/// A stream that was deleted and created again is another stream.
fn same_life(live: Live, id: StreamId) -> Result<Live, ReadError> {
    if live.id == id { Ok(live) } else { Err(ReadError::NotFound) }
}

/// A reader that follows a stream. Holds no messages: one that falls behind reads on from storage.
#[derive(Debug)]
pub struct Subscription {
    system: Streamkeeper,
    name: StreamName,
    id: StreamId,
    max_bytes: u64,
    next_offset: Offset,
    content_type: streamkeeper_protocol::ContentType,
    follow: Option<Follow>,
    first: Option<Page>,
    ended: bool,
}

impl Subscription {
    /// The life of the stream that it follows.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Where the next page begins.
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The stream's content type.
    pub fn content_type(&self) -> &streamkeeper_protocol::ContentType {
        &self.content_type
    }

    /// The next page. The first comes at once and may be empty; a later one has messages or tells the
    /// closing. `None` after the closing, and when the system shuts down.
    ///
    /// Survives a crash of the stream's actor. Fails with [`ReadError::NotFound`] or
    /// [`ReadError::Gone`] when the stream is deleted or expires. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Page>, ReadError> {
        if let Some(first) = self.first.take() {
            return Ok(self.deliver(first));
        }
        loop {
            if self.ended || self.system.is_closing() {
                return Ok(None);
            }
            let Some(view) = self.latest().await? else { continue };
            // Again, because this may be the view by which the actor wakes those who follow it then.
            if self.system.is_closing() {
                return Ok(None);
            }
            let live = same_life(readable(&view)?.clone(), self.id)?;
            let news = live.tail > self.next_offset.position() || live.closed;
            if news {
                let from = ReadFrom::At(self.next_offset);
                let page = self.system.page(&live, from, self.max_bytes).await?;
                return Ok(self.deliver(page));
            }
            self.changed().await;
        }
    }

    fn deliver(&mut self, page: Page) -> Option<Page> {
        self.next_offset = page.next_offset;
        self.ended = page.closed;
        Some(page)
    }

    /// The latest view; `None` if the actor had to be found again.
    async fn latest(&mut self) -> Result<Option<Arc<View>>, ReadError> {
        match &mut self.follow {
            Some(follow) => Ok(Some(follow.views.borrow_and_update().clone())),
            None => {
                let (handle, _) = self.system.look(&self.name).await?;
                self.follow(&handle?).await?;
                Ok(None)
            }
        }
    }

    /// Waits until the view is another one, or the actor has ended, or live reads are to end.
    async fn changed(&mut self) {
        let Some(follow) = &mut self.follow else { return };
        if follow.views.changed().await.is_err() {
            self.follow = None;
        }
    }

    async fn follow(&mut self, handle: &Arc<Handle>) -> Result<(), ReadError> {
        match handle.call(|reply| Message::Subscribe { reply }).await {
            Ok(follow) => self.follow = Some(follow),
            Err(CallError::NotDelivered | CallError::OutcomeUnknown) => {
                self.system.context.registry.found_dead(&self.name, handle);
                self.follow = None;
            }
        }
        Ok(())
    }
}
