//! Subscriptions: durable cursors that wake workers (PROTOCOL.md sections 6 and 7).
//!
//! A subscription is the fold of its events, as a stream is of its records. [`SubscriptionState`] is
//! all that is durable of one; a [`Tracker`] adds what is known of the tails of its streams and makes
//! every decision. A decision is a list of [`Event`]s; what is to be done in the world follows from the
//! state that they lead to ([`Tracker::duty`], [`Tracker::deadline`]), so a crash between a decision and
//! what it calls for loses nothing.
//!
//! ```text
//!          pending work               attempt, 2xx or callback; or a claim
//!   Idle ────────────────▶ Waking ─────────────────────────────────────────▶ Leased
//!    ▲   new generation      │ ▲ failed: again after a backoff                 │
//!    │                       └─┘                                               │
//!    └─────────────────────────────────────────────────────────────────────────┘
//!              done, released, or the lease has expired: whose token is fenced
//! ```

mod ack;
mod config;
mod delivery;
mod description;
mod event;
mod id;
mod index;
mod lease;
mod membership;
mod pattern;
mod request;
mod state;
mod tracker;
mod wire;

pub use ack::{AckRejection, InvalidAck};
pub use config::{Config, DEFAULT_LEASE_TTL, Delivery, InvalidConfig, MAX_DESCRIPTION_BYTES};
pub use config::{MAX_LEASE_TTL, MAX_URL_BYTES, MIN_LEASE_TTL};
pub use delivery::{Attempt, Outcome, backoff};
pub use description::{Acknowledged, Claimed, Description, LinkInfo, Signing, Status, StreamInfo};
pub use event::{Event, Release};
pub use id::{InvalidId, MAX_ID_BYTES, SubscriptionId};
pub use index::Index;
pub use lease::{ClaimRejection, Grant, WakeId};
pub use membership::Seen;
pub use pattern::{InvalidPattern, MAX_PATTERN_BYTES, Pattern};
pub use request::{
    Ack, AckRequest, ClaimRequest, InvalidRequest, MAX_WORKER_BYTES, ReleaseRequest,
};
pub use request::{stream_from_path, streams_from_json};
pub use state::{Link, LinkType, Phase, SubscriptionState, Wake};
pub use tracker::{Chance, Duty, Tail, Tracker};
pub use wire::{Malformed, decode_events, encode_events};
