#![doc = include_str!("../FORMAT.md")]

mod codec;
mod engine;
pub mod env;
mod error;
mod filed;
mod frame;
mod journal;
#[cfg(test)]
mod simulation;
mod storage;

pub use engine::{LogOptions, OpenReport};
pub use error::OpenError;
pub use storage::LogStorage;
