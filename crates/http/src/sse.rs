//! GET with `live=sse`: a stream of server-sent events (section 5.8).

mod text;

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use streamkeeper::{Offset, Page, StreamName, Streamkeeper, Subscription};
use streamkeeper_protocol::Cursor;
use streamkeeper_protocol::sse::{Control, SseEncoding, control_event, data_event};
use tokio::time::{Instant, timeout_at};

use self::text::TextHold;
use crate::query::ReadQuery;
use crate::{Api, Problem, header};

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) async fn handle(
    api: &Api,
    name: StreamName,
    query: ReadQuery,
) -> Result<Response, Problem> {
    let Api { keeper, options } = api;
    let subscription = keeper.subscribe(&name, query.from, options.page_bytes).await?;
    let encoding = subscription.content_type().sse_encoding();
    let events = Events {
        keeper: keeper.clone(),
        encoding,
        deadline: Instant::now() + options.sse_lifetime,
        cursor: Cursor::next(keeper.now(), query.cursor, keeper.draw()),
        began: subscription.next_offset(),
        hold: TextHold::new(subscription.next_offset()),
        subscription,
        queue: VecDeque::new(),
        ended: false,
    };
    let mut response = Response::new(Body::from_stream(events.into_stream()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would hold live data back.
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if encoding == SseEncoding::Base64 {
        headers.insert(header::STREAM_SSE_DATA_ENCODING, HeaderValue::from_static("base64"));
    }
    Ok(response)
}

/// The events of one connection.
struct Events {
    keeper: Streamkeeper,
    subscription: Subscription,
    encoding: SseEncoding,
    /// When the connection is recycled, however busy it is.
    deadline: Instant,
    cursor: Cursor,
    /// Where the connection began.
    began: Offset,
    hold: TextHold,
    queue: VecDeque<Bytes>,
    ended: bool,
}

impl Events {
    fn into_stream(self) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut events| async move {
            let event = events.next().await?;
            Some((Ok(event), events))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.ended || Instant::now() >= self.deadline {
                return self.last();
            }
            match timeout_at(self.deadline, self.subscription.next()).await {
                Ok(Ok(Some(page))) => self.page(page),
                // Recycled, ended, or deleted: the client asks again and learns which.
                Err(_) | Ok(Ok(None) | Err(_)) => self.ended = true,
            }
        }
    }

    /// Queues the events of one page: its data, then where the reader stands.
    fn page(&mut self, page: Page) {
        self.ended = page.closed;
        let position = match self.encoding {
            SseEncoding::Text => self.text(&page),
            SseEncoding::Json | SseEncoding::Base64 => {
                self.data(&page);
                page.next_offset
            }
        };
        let up_to_date = page.up_to_date && position == page.next_offset;
        self.control(position, up_to_date, page.closed);
    }

    fn data(&mut self, page: &Page) {
        let encode = |chunks: &[Bytes]| data_event(self.encoding, chunks);
        let event = match page.chunks.as_slice() {
            [] => return,
            // What is sent to many readers at the tail is encoded once.
            [shared] => shared.encoded(|chunk| encode(&[chunk.batch.payload().clone()])),
            _ => encode(&page.payloads()),
        };
        self.queue.push_back(event);
    }

    /// Text is cut only between characters: a message that ends inside one waits for the next.
    fn text(&mut self, page: &Page) -> Offset {
        if self.hold.is_clean_for(page) {
            self.data(page);
            self.hold.advance(page.next_offset);
        } else if let Some(whole) = self.hold.add(page) {
            self.queue.push_back(data_event(SseEncoding::Text, &whole));
        }
        self.hold.position()
    }

    fn control(&mut self, next_offset: Offset, up_to_date: bool, closed: bool) {
        // Within a connection the cursor only follows the time.
        self.cursor = self.cursor.max(Cursor::next(self.keeper.now(), None, 0));
        let cursor = (!closed).then_some(self.cursor);
        self.queue.push_back(control_event(&Control { next_offset, cursor, up_to_date, closed }));
    }

    /// What a connection holds back at its end, the next one reads whole: the last control event stands
    /// before it. But one that could send nothing else gives it up, as far as it can be read: text that
    /// never becomes whole must not hold its readers for ever.
    fn last(&mut self) -> Option<Bytes> {
        self.ended = true;
        if self.hold.position() != self.began {
            return None;
        }
        let held = self.hold.give_up()?;
        let position = self.hold.position();

        self.control(position, false, false);
        Some(data_event(SseEncoding::Text, &held))
    }
}
