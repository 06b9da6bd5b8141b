//! The harness of the black-box tests: a client that writes HTTP byte by byte, the real binary and
//! an in-process server with a storage that fails on command.
//!
//! The tests themselves are in `blackbox/`, one file an idea. They assert what a client sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot go on panics, and says why"
)]

pub mod binary;
pub mod clock;
pub mod connection;
pub mod events;
pub mod faulty;
pub mod in_process;
pub mod patience;
pub mod reader;
pub mod receiver;
pub mod request;
pub mod response;
pub mod stream;
pub mod subscription;

pub use connection::Connection;
pub use events::{Control, Event, EventReader};
pub use faulty::FaultyStorage;
pub use in_process::{InProcess, Setup};
pub use patience::{DEADLINE, eventually, settle, within};
pub use receiver::Receiver;
pub use request::Request;
pub use response::Response;
pub use stream::Stream;
pub use subscription::Subscription;
