//! Runs the official Durable Streams suite and the official TypeScript client against the
//! `streamkeeper` binary, and starts that binary for any other black-box test.
//!
//! A run is three steps: [`Server::start`] a server, [`vitest::run`] a folder or file of tests
//! against its URL, and [`gaps::Expected::judge`] the [`report::Report`].

pub mod binary;
pub mod gaps;
pub mod node;
pub mod report;
pub mod server;
pub mod vitest;

pub use server::Server;

use std::path::Path;

/// The folder of this package: `package.json`, the JavaScript tests and `known-gaps.json`.
pub fn package_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
