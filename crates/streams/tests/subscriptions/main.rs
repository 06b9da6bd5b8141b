//! Subscriptions by the embedding API: what workers see, over crashes of workers, of storage and of the
//! whole system.

mod crashes;
mod fleet;
mod kit;
mod membership;
mod pull_wake;
mod webhook;
