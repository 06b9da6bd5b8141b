//! A stream is the fold of its records.
//!
//! One file an operation: each validates a request against [`StreamState`] (`decide_*`) and says
//! which [`Record`] it would write, or why not. [`StreamState::fold`] folds a record in. Replaying
//! the records of a stream gives the state that lived them, which is all that recovery is.

mod append;
mod config;
mod create;
mod delete;
mod expiry;
mod fork;
mod read;
mod record;
mod retention;
mod state;

pub use append::{Append, AppendDecision, AppendRejection, decide_append};
pub use config::{Config, StreamId};
pub use create::{Create, CreateDecision, CreateRejection, ForkRequest, Mismatch, decide_create};
pub use delete::{DeleteRejection, decide_delete, decide_expire, decide_truncate};
pub use expiry::Expiry;
pub use fork::{
    Ancestor, Fork, ForkGrant, ForkRejection, InvalidSubOffset, Origin, decide_fork,
    decide_release, resolve_sub_offset,
};
pub use read::{Trimmed, resolve_start};
pub use record::Record;
pub use retention::{Compaction, Cut, Mark, Marks, Retention, age_slack};
pub use state::{ProducerState, StreamState};
