//! The embedding API as a caller sees it, upon a storage that fails, delays and crashes on command.

#![expect(clippy::unwrap_used, reason = "a test panics")]

mod kit;

mod crashes;
mod dormancy;
mod dropped_calls;
mod events;
mod fork_leaks;
mod fork_races;
mod forks;
mod in_flight;
mod linear;
mod listener;
mod listing;
mod messages;
mod observe;
mod open_races;
mod permits;
mod pipeline;
mod policies;
mod quarantine;
mod read_live;
mod retention;
mod retention_forks;
mod retention_readers;
mod retention_workers;
mod shutdown;
mod storm;
mod subscription;
mod subscription_crashes;
mod systems;
mod ttl;
mod ttl_timer;
mod wake_ups;
