//! Messages as a reader gets them: each with its own offset, as it was sent.

use bytes::Bytes;
use streamkeeper_protocol::Offset;

use crate::Page;

/// One message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it begins: reading from here on begins with this message.
    pub start: Offset,
    /// The offset that follows it: reading from here on begins with the next message.
    pub offset: Offset,
    /// The message as it was sent; of a JSON stream one JSON value.
    pub data: Bytes,
}

impl Message {
    /// The message as text, with � for what is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// Consecutive messages of a stream, as [`read_messages`](crate::Streamkeeper::read_messages) returns
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Messages {
    /// The messages; empty if there were none.
    pub messages: Vec<Message>,
    /// Where the next page begins.
    pub next_offset: Offset,
    /// Whether the page reaches the stream's tail.
    pub up_to_date: bool,
    /// Whether the page reaches the end of a closed stream: no more will ever come.
    pub closed: bool,
}

impl From<&Page> for Messages {
    fn from(page: &Page) -> Self {
        Self {
            messages: page.messages().collect(),
            next_offset: page.next_offset,
            up_to_date: page.up_to_date,
            closed: page.closed,
        }
    }
}

impl Page {
    /// The messages one by one, sharing the page's bytes. A JSON message comes without the comma that
    /// it is stored with.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, ReadFrom, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let name = StreamName::new("orders")?;
    /// keeper.create(&name, CreateRequest::json().body(r#"[{"id": 1}, {"id": 2}]"#)).await?;
    ///
    /// let page = keeper.read(&name, ReadFrom::Start, 1 << 20).await?;
    /// let first = page.messages().next().expect("there are two");
    /// assert_eq!(first.data, r#"{"id":1}"#);
    ///
    /// let rest = keeper.read(&name, ReadFrom::At(first.offset), 1 << 20).await?;
    /// assert_eq!(rest.messages().next().expect("there is one").start, first.offset);
    /// # Ok(())
    /// # }
    /// ```
    pub fn messages(&self) -> impl Iterator<Item = Message> + '_ {
        let comma = u64::from(self.content_type.is_json());
        self.chunks.iter().flat_map(move |shared| {
            let chunk = &shared.chunk;
            chunk.messages().map(move |(begin, end)| {
                // A chunk is in memory, so its length fits.
                let index = |position: u64| (position - chunk.position) as usize;
                let data = chunk.batch.payload().slice(index(begin)..index(end - comma));
                Message { start: Offset::new(begin), offset: Offset::new(end), data }
            })
        })
    }
}
