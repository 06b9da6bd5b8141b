//! Crash storms: streams panic, storage fails, actors are killed, under load; and in the end nothing is
//! lost, doubled or out of order, and no sibling was disturbed.
//!
//! | variable | |
//! |---|---|
//! | `STREAMKEEPER_STORM_SECONDS` | how long a live storm lasts (default 8) |
//! | `STREAMKEEPER_STORM_SEED` | what a live storm draws; moments are not reproduced |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot go on panics, and says why"
)]

mod kit;
mod live;
mod simulated;
