//! The `streamkeeper-bench` binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    streamkeeper_bench::run()
}
