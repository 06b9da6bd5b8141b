//! Short words for the API.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use streamkeeper::{
    AppendError, AppendRequest, Appended, ContentType, CreateError, CreateRequest, Created, Expiry,
    ForkFrom, Limits, Offset, Page, Producer, ReadError, ReadFrom, Retention, RetentionStatus,
    StreamName, Streamkeeper, Unavailable,
};
use streamkeeper_protocol::{ProducerId, Ttl};

use super::{Scripted, TestClock};

/// Bytes of a page that is never full in these tests.
pub(crate) const ALL: u64 = 1 << 20;

pub(crate) async fn keeper(storage: &Arc<Scripted>) -> Streamkeeper {
    Streamkeeper::builder().storage(storage.clone()).seed(1).start().await.unwrap()
}

pub(crate) async fn keeper_at(storage: &Arc<Scripted>, clock: &TestClock) -> Streamkeeper {
    let builder = Streamkeeper::builder().storage(storage.clone()).clock(clock.clone());
    builder.seed(1).start().await.unwrap()
}

pub(crate) async fn keeper_with(
    storage: &Arc<Scripted>,
    clock: &TestClock,
    limits: Limits,
) -> Streamkeeper {
    let builder = Streamkeeper::builder().storage(storage.clone()).clock(clock.clone());
    builder.limits(limits).seed(1).start().await.unwrap()
}

/// What retention has done when everything that is due is done with.
pub(crate) async fn compacted(keeper: &Streamkeeper) -> RetentionStatus {
    let retention = keeper.retention();
    retention.check_now().await.unwrap();
    retention.status().await.unwrap()
}

/// Appends messages, each for itself.
pub(crate) async fn append_all(
    keeper: &Streamkeeper,
    name: &StreamName,
    bodies: impl IntoIterator<Item = String>,
) {
    for body in bodies {
        keeper.append(name, message(body)).await.unwrap();
    }
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

pub(crate) fn text() -> Option<ContentType> {
    Some(ContentType::parse("text/plain").unwrap())
}

pub(crate) fn json() -> Option<ContentType> {
    Some(ContentType::parse("application/json").unwrap())
}

/// A stream of text.
pub(crate) fn stream() -> CreateRequest {
    CreateRequest { content_type: text(), ..Default::default() }
}

pub(crate) fn ttl(seconds: u64) -> Option<Expiry> {
    Some(Expiry::Ttl(Ttl::parse(seconds.to_string().as_bytes()).unwrap()))
}

/// A stream of text of which so many messages are kept.
pub(crate) fn keeping(messages: u64) -> CreateRequest {
    let retention = Retention { max_messages: NonZeroU64::new(messages), ..Default::default() };
    CreateRequest { retention: Some(retention), ..stream() }
}

/// A fork of all that the source has.
pub(crate) fn fork_of(source: &StreamName) -> CreateRequest {
    let fork = ForkFrom { source: source.clone(), offset: None, sub_offset: 0 };
    CreateRequest { fork: Some(fork), ..Default::default() }
}

/// A fork at a position.
pub(crate) fn fork_at(source: &StreamName, position: u64, sub_offset: u64) -> CreateRequest {
    let offset = Some(Offset::new(position));
    let fork = ForkFrom { source: source.clone(), offset, sub_offset };
    CreateRequest { fork: Some(fork), ..Default::default() }
}

/// An append of one message.
pub(crate) fn message(body: impl Into<String>) -> AppendRequest {
    AppendRequest { content_type: text(), body: body.into().into(), ..Default::default() }
}

pub(crate) fn closing() -> AppendRequest {
    AppendRequest { close: true, ..Default::default() }
}

pub(crate) fn produced(body: impl Into<String>, id: &str, epoch: u64, seq: u64) -> AppendRequest {
    let id = ProducerId::parse(id.as_bytes()).unwrap();
    AppendRequest { producer: Some(Producer { id, epoch, seq }), ..message(body) }
}

/// Everything that the stream holds, in pages of `max_bytes`.
pub(crate) async fn read_all(
    keeper: &Streamkeeper,
    name: &StreamName,
    max_bytes: u64,
) -> Result<String, ReadError> {
    let mut from = ReadFrom::Start;
    let mut all = String::new();
    loop {
        let page = keeper.read(name, from, max_bytes).await?;
        all.push_str(&texts(&page).concat());
        if page.up_to_date {
            return Ok(all);
        }
        from = ReadFrom::At(page.next_offset);
    }
}

pub(crate) async fn contents(keeper: &Streamkeeper, name: &StreamName) -> String {
    read_all(keeper, name, ALL).await.unwrap()
}

/// The messages of a page.
pub(crate) fn texts(page: &Page) -> Vec<String> {
    let mut texts = Vec::new();
    for shared in &page.chunks {
        let chunk = &shared.chunk;
        for (begin, end) in chunk.messages() {
            let range = (begin - chunk.position) as usize..(end - chunk.position) as usize;
            texts.push(String::from_utf8(chunk.batch.payload()[range].to_vec()).unwrap());
        }
    }
    texts
}

/// Lets everything happen that can happen without outside help. With paused time only.
pub(crate) async fn settle() {
    // The paused clock moves only when every task waits.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Waits until something is so; gives up after ten seconds.
pub(crate) async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came true that {what}");
}

/// Calls that are under way, each in a task of its own, sent in order.
pub(crate) struct Calls<T>(Vec<tokio::task::JoinHandle<T>>);

impl<T: Send + 'static> Calls<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Starts a call and lets it come to rest. With paused time only.
    pub(crate) async fn add(&mut self, call: impl Future<Output = T> + Send + 'static) {
        self.0.push(tokio::spawn(call));
        settle().await;
    }

    /// Which calls were answered.
    pub(crate) fn answered(&self) -> Vec<bool> {
        self.0.iter().map(|call| call.is_finished()).collect()
    }

    pub(crate) async fn answers(self) -> Vec<T> {
        let mut answers = Vec::new();
        for call in self.0 {
            answers.push(call.await.unwrap());
        }
        answers
    }
}

pub(crate) fn append(
    keeper: &Streamkeeper,
    name: &StreamName,
    request: AppendRequest,
) -> impl Future<Output = Result<Appended, AppendError>> + Send + 'static {
    let (keeper, name) = (keeper.clone(), name.clone());
    async move { keeper.append(&name, request).await }
}

pub(crate) fn create(
    keeper: &Streamkeeper,
    name: &StreamName,
    request: CreateRequest,
) -> impl Future<Output = Result<Created, CreateError>> + Send + 'static {
    let (keeper, name) = (keeper.clone(), name.clone());
    async move { keeper.create(&name, request).await }
}

/// Appends, over and over while the stream is being restarted.
pub(crate) async fn insist(
    keeper: &Streamkeeper,
    name: &StreamName,
    request: AppendRequest,
) -> Appended {
    for _ in 0..1_000 {
        match keeper.append(name, request.clone()).await {
            Ok(appended) => return appended,
            Err(AppendError::Unavailable(Unavailable::Quarantined { reason })) => {
                panic!("quarantined: {reason}")
            }
            Err(AppendError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the stream never came back");
}

/// Whether an append failed without a word on whether it was done.
pub(crate) fn is_unknown(answer: &Result<Appended, AppendError>) -> bool {
    use Unavailable::{OutcomeUnknown, Storage};
    matches!(answer, Err(AppendError::Unavailable(OutcomeUnknown | Storage(_))))
}
