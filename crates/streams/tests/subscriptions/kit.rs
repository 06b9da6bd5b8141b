//! What every test needs: a system over a storage that outlives it, a clock, and short words.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use streamkeeper::protocol::stream::StreamState;
use streamkeeper::protocol::subscription::{
    Ack, AckRequest, Acknowledged, ClaimRequest, Claimed, Config, Description, ReleaseRequest,
    SubscriptionId,
};
use streamkeeper::storage::{Chunk, Commit, Entry, MemoryStorage, Range, Storage, StorageError};
use streamkeeper::{
    AckError, AppendRequest, ClaimError, Clock, ContentType, CreateRequest, Limits, Offset,
    ReadFrom, StreamName, Streamkeeper, Timestamp, TokenError, TokenScope, WebhookOutcome,
    Webhooks,
};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The lease of these tests.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// Longer than anything that is awaited may take, in tokio's paused time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// A clock that follows tokio's, so that pausing one pauses both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000).plus(self.0.elapsed())
    }
}

/// One system's way to the storage. Once cut, the system is as good as killed: whatever it still does
/// reaches nothing.
pub(crate) struct Lifeline {
    inner: Arc<MemoryStorage>,
    cut: AtomicBool,
    /// Refuses what subscriptions write, as if the kill came just before.
    pub(crate) no_subscriptions: AtomicBool,
    /// So many writes of subscriptions fail.
    pub(crate) failing: AtomicUsize,
}

impl Lifeline {
    fn check(&self) -> Result<(), StorageError> {
        match self.cut.load(Ordering::SeqCst) {
            true => Err(StorageError::Unavailable("killed".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Storage for Lifeline {
    async fn load(&self, name: &StreamName) -> Result<Option<StreamState>, StorageError> {
        self.check()?;
        self.inner.load(name).await
    }

    fn commit(&self, entry: Entry) -> Commit {
        let refused = entry.name.is_reserved() && self.no_subscriptions.load(Ordering::SeqCst);
        let fails = entry.name.is_reserved()
            && self
                .failing
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        match self.check() {
            Ok(()) if !refused && !fails => self.inner.commit(entry),
            _ => Commit::ready(Err(StorageError::Unavailable("scripted".into()))),
        }
    }

    async fn read(&self, range: Range) -> Result<Vec<Chunk>, StorageError> {
        self.check()?;
        self.inner.read(range).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<StreamName>, StorageError> {
        self.check()?;
        self.inner.list(prefix, after, limit).await
    }

    fn health(&self) -> Result<(), StorageError> {
        self.inner.health()
    }
}

/// Webhooks that do what a test says, and remember how they were called.
#[derive(Default)]
pub(crate) struct Receiver {
    outcomes: Mutex<VecDeque<WebhookOutcome>>,
    calls: Mutex<Vec<Value>>,
    called: Notify,
    /// Calls do not return while this is set.
    pub(crate) hanging: AtomicBool,
    pub(crate) at_once: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
    tokens: Mutex<HashMap<String, TokenScope>>,
}

struct Calling<'a>(&'a AtomicUsize);

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Webhooks for Receiver {
    fn check_url(&self, url: &str) -> Result<(), String> {
        match url.starts_with("https://") {
            true => Ok(()),
            false => Err("https only".into()),
        }
    }

    async fn deliver(&self, _: &str, body: Bytes) -> WebhookOutcome {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let _calling = Calling(&self.at_once);
        self.calls.lock().push(serde_json::from_slice(&body).expect("JSON"));
        self.called.notify_waiters();
        while self.hanging.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.outcomes.lock().pop_front().unwrap_or(WebhookOutcome::Accepted)
    }

    fn issue_token(&self, scope: &TokenScope, _: Timestamp) -> String {
        let token = format!("{scope:?}");
        self.tokens.lock().insert(token.clone(), scope.clone());
        token
    }

    fn verify_token(&self, token: &str, _: Timestamp) -> Result<TokenScope, TokenError> {
        if token == "expired" {
            return Err(TokenError::Expired);
        }
        self.tokens.lock().get(token).cloned().ok_or(TokenError::Invalid)
    }

    fn kid(&self) -> String {
        "ds_test".into()
    }

    fn jwks(&self) -> String {
        "{}".into()
    }
}

impl Receiver {
    pub(crate) fn answer(&self, outcome: WebhookOutcome) {
        self.outcomes.lock().push_back(outcome);
    }

    pub(crate) fn calls(&self) -> Vec<Value> {
        self.calls.lock().clone()
    }

    /// The call of this number, from zero; waits for it.
    pub(crate) async fn call(&self, number: usize) -> Value {
        let call = async {
            loop {
                let called = self.called.notified();
                if let Some(call) = self.calls.lock().get(number) {
                    return call.clone();
                }
                called.await;
            }
        };
        tokio::time::timeout(PATIENCE, call).await.expect("the webhook is called")
    }
}

/// A system, what it stores, and who it calls.
pub(crate) struct World {
    storage: Arc<MemoryStorage>,
    clock: TokioClock,
    limits: Limits,
    pub(crate) receiver: Option<Arc<Receiver>>,
    pub(crate) lifeline: Arc<Lifeline>,
    pub(crate) keeper: Streamkeeper,
}

impl World {
    /// A system without webhooks, with a wake stream `wakes`.
    pub(crate) async fn new() -> Self {
        let world = Self::begin(None, Limits::default()).await;
        world.create("wakes", "").await;
        world
    }

    pub(crate) async fn with_webhooks(limits: Limits) -> Self {
        Self::begin(Some(Arc::default()), limits).await
    }

    async fn begin(receiver: Option<Arc<Receiver>>, limits: Limits) -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let clock = TokioClock(Instant::now());
        let (lifeline, keeper) = start(&storage, clock, limits, receiver.clone()).await;
        Self { storage, clock, limits, receiver, lifeline, keeper }
    }

    /// Kills the system and starts another on what it has stored.
    pub(crate) async fn kill(&mut self) {
        self.lifeline.cut.store(true, Ordering::SeqCst);
        let (lifeline, keeper) =
            start(&self.storage, self.clock, self.limits, self.receiver.clone()).await;
        let killed = std::mem::replace(&mut self.keeper, keeper);
        self.lifeline = lifeline;
        killed.shutdown(Duration::ZERO).await;
    }

    /// Shuts the system down and starts another.
    pub(crate) async fn restart(&mut self) {
        assert!(self.keeper.shutdown(Duration::from_secs(5)).await.is_clean());
        let (lifeline, keeper) =
            start(&self.storage, self.clock, self.limits, self.receiver.clone()).await;
        (self.lifeline, self.keeper) = (lifeline, keeper);
    }

    pub(crate) fn receiver(&self) -> &Receiver {
        self.receiver.as_ref().expect("webhooks")
    }

    /// What is stored of a subscription.
    pub(crate) async fn stored(&self, id: &str) -> Option<StreamState> {
        self.storage.load(&subscription(id).stream_name()).await.expect("memory")
    }

    pub(crate) async fn create(&self, stream: &str, body: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = CreateRequest { content_type: Some(json()), body, ..Default::default() };
        self.keeper.create(&name(stream), request).await.expect("created");
    }

    pub(crate) async fn append(&self, stream: &str) -> u64 {
        let body = Bytes::from_static(b"1");
        let request = AppendRequest { content_type: Some(json()), body, ..Default::default() };
        let appended = self.keeper.append(&name(stream), request).await.expect("appended");
        appended.next_offset.position()
    }

    pub(crate) async fn delete(&self, stream: &str) {
        self.keeper.delete(&name(stream)).await.expect("deleted");
    }

    /// A pull-wake subscription over `e/*`.
    pub(crate) async fn subscribe(&self, id: &str) -> Description {
        let config =
            r#"{"type":"pull-wake","pattern":"e/*","wake_stream":"wakes","lease_ttl_ms":10000}"#;
        self.subscribe_as(id, config).await
    }

    /// A webhook subscription over `e/*`.
    pub(crate) async fn hook(&self, id: &str) -> Description {
        let config = r#"{"type":"webhook","pattern":"e/*","webhook":{"url":"https://worker/"},
            "lease_ttl_ms":10000}"#;
        self.subscribe_as(id, config).await
    }

    pub(crate) async fn subscribe_as(&self, id: &str, json: &str) -> Description {
        let subscriptions = self.keeper.subscriptions();
        let url = Some("http://here/callback".to_owned());
        let created = subscriptions.create(&subscription(id), config(json), url).await;
        created.expect("subscribed").description
    }

    pub(crate) async fn claim(&self, id: &str, worker: &str) -> Result<Claimed, ClaimError> {
        let request = ClaimRequest { worker: worker.into() };
        self.keeper.subscriptions().claim(&subscription(id), request).await
    }

    /// Acks all that was claimed.
    pub(crate) async fn ack(
        &self,
        id: &str,
        claimed: &Claimed,
        done: bool,
    ) -> Result<Acknowledged, AckError> {
        let request = acks(claimed, done);
        self.keeper.subscriptions().ack(&subscription(id), &claimed.token, request).await
    }

    pub(crate) async fn release(&self, id: &str, claimed: &Claimed) -> Result<(), AckError> {
        let (wake_id, generation) = (claimed.wake_id.clone(), claimed.generation);
        let request = ReleaseRequest { wake_id, generation };
        self.keeper.subscriptions().release(&subscription(id), &claimed.token, request).await
    }

    pub(crate) async fn get(&self, id: &str) -> Description {
        self.keeper.subscriptions().get(&subscription(id)).await.expect("it exists")
    }

    /// The cursors of a subscription, as positions.
    pub(crate) async fn cursors(&self, id: &str) -> Vec<(String, u64)> {
        let links = self.get(id).await.links;
        links.iter().map(|l| (l.path.to_string(), l.acked_offset.position())).collect()
    }

    /// The wake events so far.
    pub(crate) async fn wakes(&self) -> Vec<Value> {
        let page = self.keeper.read(&name("wakes"), ReadFrom::Start, 1 << 20).await.expect("wakes");
        let array = streamkeeper::protocol::json::wrap_to_vec(&page.payloads());
        serde_json::from_slice(&array).expect("JSON")
    }

    /// Waits until there are so many wake events.
    pub(crate) async fn wait_for_wakes(&self, count: usize) -> Vec<Value> {
        eventually(|| async {
            let wakes = self.wakes().await;
            (wakes.len() >= count).then_some(wakes)
        })
        .await
    }
}

async fn start(
    storage: &Arc<MemoryStorage>,
    clock: TokioClock,
    limits: Limits,
    receiver: Option<Arc<Receiver>>,
) -> (Arc<Lifeline>, Streamkeeper) {
    let lifeline = Arc::new(Lifeline {
        inner: storage.clone(),
        cut: AtomicBool::new(false),
        no_subscriptions: AtomicBool::new(false),
        failing: AtomicUsize::new(0),
    });
    let builder = Streamkeeper::builder().storage(lifeline.clone()).clock(clock).limits(limits);
    let builder = match receiver {
        Some(receiver) => builder.webhooks(receiver),
        None => builder,
    };
    (lifeline, builder.start().await.expect("a system"))
}

/// Asks again until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let answer = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answer).await.expect("it comes")
}

pub(crate) fn acks(claimed: &Claimed, done: bool) -> AckRequest {
    let ack = |s: &streamkeeper::protocol::subscription::StreamInfo| Ack {
        stream: s.path.clone(),
        offset: Offset::new(s.tail),
    };
    AckRequest {
        wake_id: claimed.wake_id.clone(),
        generation: claimed.generation,
        acks: claimed.streams.iter().map(ack).collect(),
        done,
    }
}

pub(crate) fn config(json: &str) -> Config {
    Config::from_json(json.as_bytes()).expect("a configuration")
}

pub(crate) fn subscription(id: &str) -> SubscriptionId {
    SubscriptionId::new(id).expect("an id")
}

pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

pub(crate) fn names(texts: &[&str]) -> BTreeSet<StreamName> {
    texts.iter().map(|text| name(text)).collect()
}

pub(crate) fn json() -> ContentType {
    ContentType::parse("application/json").expect("a content type")
}
