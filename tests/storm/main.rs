//! Crash storms: streams panic, storage fails, actors are killed, under load; and in the end nothing is
//! lost, doubled or out of order, and no sibling was disturbed.
//!
//! [`live`] is a storm in real time upon each backend. [`simulated`] is one in simulated time, over HTTP:
//! its seed decides everything, and a failing seed brings the failure back.
//!
//! | variable | |
//! |---|---|
//! | `STREAMKEEPER_STORM_SECONDS` | how long a live storm lasts (default 8) |
//! | `STREAMKEEPER_STORM_SEED` | what a live storm draws; moments are not reproduced |
//! | `STREAMKEEPER_SIM_SEEDS` | how many seeds are simulated (default 6) |
//! | `STREAMKEEPER_SIM_SEED` | the one seed to simulate |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot go on panics, and says why"
)]

mod kit;
mod live;
mod simulated;
