//! Durable streams as supervised actors.
//!
//! A [`Streamkeeper`] is a system of streams: append-only, named byte logs. Each stream that is in
//! use is an actor under a supervisor; it decides every write to its stream, one after the other, and
//! publishes what is durable to readers, who never queue behind writes. A stream that crashes is
//! started again from what storage holds, and its siblings do not notice.
//!
//! Begin with [`Streamkeeper::builder`].

mod clock;
mod context;
mod dormancy;
mod error;
mod expiry_queue;
mod limits;
mod page;
mod request;
mod stream_supervisor;
mod system;
mod tree;

pub use streamkeeper_protocol as protocol;
pub use streamkeeper_protocol::stream::{Expiry, Retention, StreamId};
pub use streamkeeper_protocol::{ContentType, Offset, Producer, ReadFrom, StreamName, Timestamp};
pub use streamkeeper_storage as storage;
pub use streamkeeper_supervisor as supervisor;

pub use clock::{Clock, SystemClock};
pub use error::{AppendError, CreateError, DeleteError, ReadError, Unavailable};
pub use limits::{Limits, Permit, REQUEST_OVERHEAD};
pub use page::{Page, SharedChunk};
pub use request::{AppendRequest, Appended, CreateRequest, Created, ForkFrom, Metadata, Outcome};
pub use system::{Builder, Streamkeeper, Subscription};
