//! The engine on a simulated disk, with power losses at any call and faults of every kind.
//!
//! One seed is one run: a history of commits, filings, merges, reads, crashes and faults, each checked
//! against a naive model. After every reopening the log must hold what was acknowledged, and of the
//! one batch that was in flight the first so many records, each whole; nothing else, and no less.
//!
//! ```text
//! cargo test -p streamkeeper-storage-log simulation                    as CI has it
//! STREAMKEEPER_SIM_SEEDS=100000 cargo test --release ... simulation    a hunt
//! STREAMKEEPER_SIM_SEED=4711 STREAMKEEPER_SIM_SEEDS=1 cargo test ...   one run again
//! ```
//!
//! A run that fails prints its seed, its last operations and the disk. `scripts` cuts the power at
//! every call of short histories; `named` keeps what once was lost from being lost again.

mod ahead;
mod busy;
mod chance;
mod check;
mod draw;
mod hunt;
mod model;
mod named;
mod power;
mod random;
mod rot;
mod scripts;
mod stats;
mod steps;
mod world;
