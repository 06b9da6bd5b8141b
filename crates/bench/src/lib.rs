//! Measures the `streamkeeper` binary side by side with other servers.
//!
//! One run compares *targets* (servers, each a child process) in *scenarios* (kinds of load) over
//! interleaved rounds, and prints medians and ratios. Only ratios of one run mean anything: see
//! `README.md` for how to run it and `RESULTS.md` for what it said.

mod cli;
mod compare;
mod http;
mod load;
mod pinning;
mod process;
mod report;
mod scale;
mod scenario;
mod stats;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Runs the command line.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Compare(compare) => compare::run(&compare),
        Command::Scale(scale) => scale::run(&scale),
        Command::List => {
            report::table::list();
            Ok(())
        }
        Command::InstallPeers { dir } => target::peers::install(&dir),
        Command::ServeAxum { port } => target::axum::serve(port),
        Command::ServeRaw { port } => target::raw::serve(port),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("streamkeeper-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
