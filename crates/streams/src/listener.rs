//! A listener: follows one stream for a user interface, whatever happens to the stream's actor.

mod following;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::{BoxStream, StreamExt};
use streamkeeper_protocol::{Offset, ReadFrom, StreamName};

use self::following::{Following, Step};
use crate::{Message, ReadError, Streamkeeper};

/// How many bytes of messages one [`Update::Data`] holds at most, unless one message alone is larger.
pub const LISTENER_PAGE_BYTES: u64 = 256 << 10;

/// Follows one stream at a time and tells what it sees as a [`Stream`] of [`Update`]s.
///
/// A crash, a restart, or the dormancy of the stream's actor neither loses nor repeats a message; while
/// the stream cannot be served the listener is [`Disconnected`](ListenerStatus::Disconnected) and tries
/// again, ever more rarely. It ends with [`Update::Complete`] when the stream is closed and all was
/// told, and with [`Update::Error`] when the stream is deleted, has expired, or retention has dropped
/// what comes next.
///
/// When it listens to nothing the next update is `None`; after another [`listen`](Self::listen) it goes
/// on. Waiting for an update is cancel safe, so it can stand in a `select!` beside the commands that
/// change what is listened to. It holds no messages that were not asked for.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::StreamExt;
/// use streamkeeper::{AppendRequest, CreateRequest, ReadFrom, StreamName, Streamkeeper, Update};
///
/// let keeper = Streamkeeper::builder().start().await?;
/// let name = StreamName::new("chat/1")?;
/// keeper.create(&name, CreateRequest::text().body("hello")).await?;
///
/// let mut listener = keeper.listener();
/// listener.listen(&name, ReadFrom::Start);
/// keeper.append(&name, AppendRequest::text("bye").and_close()).await?;
///
/// let mut said = Vec::new();
/// while let Some(update) = listener.next().await {
///     match update {
///         Update::Data(messages) => said.extend(messages.iter().map(|message| message.text())),
///         Update::Status(status) => println!("now {status:?}"),
///         Update::Complete => println!("the stream is closed"),
///         Update::Error(error) => return Err(error.into()),
///     }
/// }
/// assert_eq!(said, ["hello", "bye"]);
/// assert_eq!(listener.offset(), Some(keeper.metadata(&name).await?.next_offset));
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    keeper: Streamkeeper,
    page_bytes: u64,
    stream: Option<StreamName>,
    offset: Option<Offset>,
    status: ListenerStatus,
    /// Updates that come before those of the work.
    first: VecDeque<Update>,
    work: Option<BoxStream<'static, Step>>,
}

/// What a listener is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ListenerStatus {
    /// It listens to nothing.
    #[default]
    Idle,
    /// It looks for the stream.
    Connecting,
    /// It follows the stream.
    Streaming,
    /// The stream cannot be served now; it tries again.
    Disconnected,
}

/// What a listener tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Messages, in order; never empty.
    Data(Vec<Message>),
    /// The status is another one.
    Status(ListenerStatus),
    /// The stream is closed, and everything was told. The listener is idle.
    Complete,
    /// The stream cannot be followed any further. The listener is idle.
    Error(ReadError),
}

impl Streamkeeper {
    /// A listener that listens to nothing yet.
    pub fn listener(&self) -> Listener {
        Listener {
            keeper: self.clone(),
            page_bytes: LISTENER_PAGE_BYTES,
            stream: None,
            offset: None,
            status: ListenerStatus::Idle,
            first: VecDeque::new(),
            work: None,
        }
    }
}

impl Listener {
    /// The same with another size of pages. Default: [`LISTENER_PAGE_BYTES`].
    pub fn page_bytes(self, page_bytes: u64) -> Self {
        Self { page_bytes, ..self }
    }

    /// Listens to a stream from an offset on, and no longer to what it listened to before.
    ///
    /// Does not wait: whether the stream can be followed is told by the updates.
    pub fn listen(&mut self, name: &StreamName, from: ReadFrom) {
        self.stop();
        self.stream = Some(name.clone());
        self.offset = match from {
            ReadFrom::At(offset) => Some(offset),
            ReadFrom::Start | ReadFrom::Now => None,
        };
        self.change(ListenerStatus::Connecting);
        let following = Following::new(self.keeper.clone(), name.clone(), from, self.page_bytes);
        self.work = Some(following.into_steps().boxed());
    }

    /// Listens no more. The stream and the offset stay, so that
    /// `listen(&stream, ReadFrom::At(offset))` goes on where this stopped.
    pub fn stop(&mut self) {
        self.work = None;
        // What was not taken belongs to what is over.
        self.first.clear();
        self.change(ListenerStatus::Idle);
    }

    /// Listens no more, and forgets the stream and the offset.
    pub fn reset(&mut self) {
        self.stop();
        self.stream = None;
        self.offset = None;
    }

    /// What it is doing, as far as its updates were taken.
    pub fn status(&self) -> ListenerStatus {
        self.status
    }

    /// The stream that it listens to, or last listened to.
    pub fn stream(&self) -> Option<&StreamName> {
        self.stream.as_ref()
    }

    /// The offset after the last message that it has told; `None` before it knows one.
    pub fn offset(&self) -> Option<Offset> {
        self.offset
    }

    fn change(&mut self, status: ListenerStatus) {
        if self.status != status {
            self.status = status;
            self.first.push_back(Update::Status(status));
        }
    }

    /// Takes a step of the work in; returns what it tells, if anything.
    fn learn(&mut self, step: Step) -> Option<Update> {
        match step {
            Step::At(offset) => {
                self.offset = Some(offset);
                None
            }
            Step::Status(status) if status == self.status => None,
            Step::Status(status) => {
                self.status = status;
                Some(Update::Status(status))
            }
            Step::Data(messages) => {
                self.offset = messages.last().map(|message| message.offset).or(self.offset);
                Some(Update::Data(messages))
            }
            Step::Complete => Some(self.end(Update::Complete)),
            Step::Error(error) => Some(self.end(Update::Error(error))),
        }
    }

    /// The status follows by itself from the last update, and is not told apart.
    fn end(&mut self, last: Update) -> Update {
        self.work = None;
        self.status = ListenerStatus::Idle;
        last
    }
}

impl Stream for Listener {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        if let Some(update) = self.first.pop_front() {
            return Poll::Ready(Some(update));
        }
        loop {
            let Some(work) = &mut self.work else { return Poll::Ready(None) };
            match work.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.work = None,
                Poll::Ready(Some(step)) => {
                    if let Some(update) = self.learn(step) {
                        return Poll::Ready(Some(update));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("stream", &self.stream)
            .field("offset", &self.offset)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
