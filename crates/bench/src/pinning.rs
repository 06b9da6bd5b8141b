//! Places the server on one core and the load generator on another, by `taskset`.

use std::io;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use crate::cli::Compare;

/// Which core is whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pinning {
    /// Each on its own core.
    Cores {
        /// The server's core.
        server: usize,
        /// The load generator's core.
        load: usize,
    },
    /// As the operating system likes: not asked for, no `taskset`, or no such core.
    None,
}

impl Pinning {
    /// What was asked for, if this machine can do it.
    pub(crate) fn new(options: &Compare) -> Self {
        let (server, load) = (options.server_core, options.load_core);
        let cores = available_parallelism().map_or(1, usize::from);
        match !options.no_pin && server.max(load) < cores && has_taskset() {
            true => Self::Cores { server, load },
            false => Self::None,
        }
    }

    /// Places this process, with all its threads.
    pub(crate) fn pin_self(self) -> io::Result<()> {
        let Self::Cores { load, .. } = self else { return Ok(()) };
        let status = Command::new("taskset")
            .args(["-a", "-c", "-p", &load.to_string(), &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("taskset: {status}"))),
        }
    }

    /// The command that runs a server in its place. It replaces itself, so the process id stays.
    pub(crate) fn server_command(self, program: &str) -> Command {
        match self {
            Self::None => Command::new(program),
            Self::Cores { server, .. } => {
                let mut command = Command::new("taskset");
                command.args(["-c", &server.to_string(), program]);
                command
            }
        }
    }
}

fn has_taskset() -> bool {
    let version = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
