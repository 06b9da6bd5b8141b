#![doc = include_str!("../FORMAT.md")]

mod check;
mod codec;
mod crc32c;
mod engine;
pub mod env;
mod error;
mod export;
mod filed;
mod frame;
mod import;
mod journal;
#[cfg(test)]
mod simulation;
mod storage;

pub use check::{CheckReport, Finding, Repair, Repaired, check, check_in};
pub use engine::{LogOptions, OpenReport};
pub use error::OpenError;
pub use export::{ExportError, ExportReport, export, export_in};
pub use import::{ImportError, ImportReport, import};
pub use storage::LogStorage;
