//! Durable streams as supervised actors.
//!
//! A [`Streamkeeper`] is a system of streams: append-only, named logs of messages. Each stream that is
//! in use is an actor under a supervisor; it decides every write to its stream, one after the other, and
//! publishes what is durable to readers, who never queue behind writes. A stream that crashes is started
//! again from what storage holds, and its siblings do not notice. One that nobody uses has no actor.
//!
//! # Start, write, read
//!
//! A name is any path; an offset is where to read on. What [`append`](Streamkeeper::append) has answered
//! is durable (as durable as the [`storage`](Builder::storage) is; the default keeps streams in memory).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use streamkeeper::{AppendRequest, CreateRequest, ReadFrom, StreamName, Streamkeeper};
//!
//! let keeper = Streamkeeper::builder().start().await?;
//! let orders = StreamName::new("orders")?;
//! keeper.create(&orders, CreateRequest::json()).await?;
//! keeper.append(&orders, AppendRequest::json(r#"[{"id": 1}, {"id": 2}]"#)).await?;
//!
//! let page = keeper.read_messages(&orders, ReadFrom::Start, 1 << 20).await?;
//! assert_eq!(page.messages[1].data, r#"{"id":2}"#);
//! assert!(page.up_to_date);
//! # Ok(())
//! # }
//! ```
//!
//! # Follow
//!
//! [`read_live`](Streamkeeper::read_live) waits for the next page (a long-poll),
//! [`subscribe`](Streamkeeper::subscribe) gives page after page, and a [`Listener`] gives messages to a
//! user interface as a `futures::Stream`, through crashes, restarts and dormancy.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use streamkeeper::{AppendRequest, CreateRequest, ReadFrom, StreamName, Streamkeeper};
//! # let keeper = Streamkeeper::builder().start().await?;
//! # let chat = StreamName::new("chat/1")?;
//! # keeper.create(&chat, CreateRequest::text()).await?;
//! use futures::StreamExt;
//! use streamkeeper::Update;
//!
//! let mut listener = keeper.listener();
//! listener.listen(&chat, ReadFrom::Start);
//! keeper.append(&chat, AppendRequest::text("hello")).await?;
//! keeper.close(&chat).await?;
//! while let Some(update) = listener.next().await {
//!     if let Update::Data(messages) = update {
//!         println!("{} new up to {:?}", messages.len(), listener.offset());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Supervise
//!
//! When an actor crashes (a panic, a storage that fails), a [`RestartPolicy`](supervisor::RestartPolicy)
//! decides: restart it after a wait, quarantine it, let it go, or escalate. There is one for the system
//! and one for each prefix of names that has its own. [`events`](Streamkeeper::events) tells what
//! happens, [`tree`](Streamkeeper::tree) and [`streams`](Streamkeeper::streams) what is,
//! [`quarantined`](Streamkeeper::quarantined) what is kept down, and
//! [`lift_quarantine`](Streamkeeper::lift_quarantine) brings it back.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use streamkeeper::Streamkeeper;
//! use streamkeeper::supervisor::{Backoff, StandardPolicy};
//!
//! let keeper = Streamkeeper::builder()
//!     .policy(StandardPolicy::transient().intensity(5, Duration::from_secs(60)))
//!     .policy_for("orders/", StandardPolicy::transient().backoff(Backoff::NONE))
//!     .policy_for("scratch/", StandardPolicy::temporary())
//!     .start()
//!     .await?;
//! for process in keeper.tree().await.processes {
//!     println!("{}: {:?}, {} restarts", process.name, process.state, process.restarts);
//! }
//!
//! // Live readers end, what was accepted is answered, and the report tells who did not stop in time.
//! let report = keeper.shutdown(Duration::from_secs(5)).await;
//! assert!(report.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! # More
//!
//! * [`CreateRequest`]: content types, TTL, retention, forks. [`AppendRequest`]: producers whose retries
//!   are never written twice, sequence numbers, closing.
//! * Each operation has one error enum; [`Unavailable`] is what can befall all of them.
//! * [`Limits`] bound what waits in memory; [`Clock`] and [`Builder::seed`] make tests repeatable.
//! * Two systems in one process share nothing.
//! * The crate `streamkeeper-http` serves a system over HTTP, in an axum router of your own.
//! * Panics must unwind (Rust's default), or a crash ends the process.

mod clock;
mod context;
mod dormancy;
mod error;
mod events;
mod expiry_queue;
mod limits;
mod listener;
mod message;
mod observation;
mod page;
mod policies;
mod request;
mod retention_supervisor;
mod seeded;
mod stream_supervisor;
mod subscription_supervisor;
mod system;
mod tree;
mod webhooks;

pub use streamkeeper_protocol as protocol;
pub use streamkeeper_protocol::stream::{Expiry, Retention, StreamId};
pub use streamkeeper_protocol::{
    ContentType, Offset, Producer, ReadFrom, StreamName, Timestamp, Ttl,
};
pub use streamkeeper_storage as storage;
pub use streamkeeper_supervisor as supervisor;

pub use clock::{Clock, SystemClock};
pub use error::{AppendError, CreateError, DeleteError, ListError, ReadError, Unavailable};
pub use events::{EVENT_BACKLOG, Events, SupervisionEvent};
pub use limits::{Limits, Permit, REQUEST_OVERHEAD};
pub use listener::{LISTENER_PAGE_BYTES, Listener, ListenerStatus, Update};
pub use message::{Message, Messages};
pub use observation::{Process, QuarantinedStream, StreamActivity, StreamInfo, StreamsPage, Tree};
pub use page::{Page, SharedChunk};
pub use request::{AppendRequest, Appended, CreateRequest, Created, ForkFrom, Metadata, Outcome};
pub use retention_supervisor::{RetentionFailure, RetentionStatus};
pub use system::{
    AckError, Builder, ClaimError, CreateSubscriptionError, CreatedSubscription, Listing,
    RetentionScheduler, Streamkeeper, Subscription, SubscriptionError, Subscriptions,
    TOKEN_LIFETIME,
};
pub use webhooks::{TokenError, TokenPurpose, TokenScope, WebhookOutcome, Webhooks};
