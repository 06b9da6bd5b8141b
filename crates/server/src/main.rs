//! The `streamkeeper` binary: a Durable Streams server.

mod accept;
mod check;
mod cli;
mod export;
mod health;
mod import;
mod logging;
mod serve;
mod units;

use std::process::ExitCode;

use clap::Parser;

/// A request takes many small allocations; this allocator makes them cheaper than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if let Some(command) = cli.command {
        logging::init(cli.serve.log_format, "warn");
        return run(command);
    }
    logging::init(cli.serve.log_format, &cli.serve.log_level);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(serve::run(cli.serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

fn run(command: cli::Command) -> ExitCode {
    let done = match command {
        cli::Command::Check(check) => return check::run(&check),
        cli::Command::Export(export) => export::run(&export),
        cli::Command::Import(import) => import::run(&import),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("streamkeeper: {error}");
    ExitCode::FAILURE
}
