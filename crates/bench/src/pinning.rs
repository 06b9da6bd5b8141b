//! Places the server on some cores and the load generator on others, by `taskset`.

use std::io;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

use crate::cli::Servers;

/// Which cores are whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pinning {
    /// Each on its own, as `taskset` takes them.
    Cores {
        /// The server's cores.
        server: String,
        /// The load generator's cores.
        load: String,
    },
    /// As the operating system likes: not asked for, no `taskset`, or no such core.
    None,
}

impl Pinning {
    /// What was asked for, if this machine can do it.
    pub(crate) fn new(options: &Servers) -> Self {
        let (server, load) = (&options.server_cores, &options.load_cores);
        let there = available_parallelism().map_or(1, usize::from);
        let are_there = |text| cores(text).is_some_and(|cores| cores.iter().all(|c| *c < there));
        match !options.no_pin && are_there(server) && are_there(load) && has_taskset() {
            true => Self::Cores { server: server.clone(), load: load.clone() },
            false => Self::None,
        }
    }

    /// Places this process, with all its threads and those to come.
    pub(crate) fn pin_self(&self) -> io::Result<()> {
        let Self::Cores { load, .. } = self else { return Ok(()) };
        let status = Command::new("taskset")
            .args(["-a", "-c", "-p", load, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("taskset: {status}"))),
        }
    }

    /// The command that runs a server in its place. It replaces itself, so the process id stays.
    pub(crate) fn server_command(&self, program: &str) -> Command {
        match self {
            Self::None => Command::new(program),
            Self::Cores { server, .. } => {
                let mut command = Command::new("taskset");
                command.args(["-c", server, program]);
                command
            }
        }
    }

    /// A runtime for the load generator: one thread for each of its cores.
    pub(crate) fn load_runtime(&self) -> io::Result<Runtime> {
        let threads = match self {
            Self::Cores { load, .. } => cores(load).map_or(1, |cores| cores.len()),
            Self::None => 1,
        };
        match threads {
            1 => Builder::new_current_thread().enable_all().build(),
            _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
        }
    }
}

/// The cores of a list such as `0,2-3`; `None` if it is none.
pub(crate) fn cores(list: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > 4096 {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}

fn has_taskset() -> bool {
    let version = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_a_list_of_numbers_and_ranges() {
        assert_eq!(cores("3"), Some(vec![3]));
        assert_eq!(cores("0,2-4"), Some(vec![0, 2, 3, 4]));
        for junk in ["", "a", "1-", "3-2", "1,,2", "0-99999"] {
            assert_eq!(cores(junk), None, "{junk}");
        }
    }
}
