//! The embedding API as a caller sees it, upon a storage that fails, delays and crashes on command.

#![expect(clippy::unwrap_used, reason = "a test panics")]

mod kit;

mod crashes;
mod dormancy;
mod dropped_calls;
mod fork_leaks;
mod fork_races;
mod forks;
mod in_flight;
mod linear;
mod open_races;
mod permits;
mod pipeline;
mod quarantine;
mod read_live;
mod shutdown;
mod storm;
mod subscription;
mod subscription_crashes;
mod systems;
mod ttl;
mod ttl_timer;
mod wake_ups;
