//! What is measured: servers, each a child process that is started anew for each measurement.

pub(crate) mod axum;
mod peers;
pub(crate) mod raw;
mod running;

use std::env;
use std::io;
use std::path::Path;

use crate::cli::Compare;

pub(crate) use running::Running;

/// The target whose rate is the ceiling that others are compared with.
pub(crate) const CEILING: &str = "axum";

/// A server that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its name in the report.
    pub(crate) name: String,
    /// Program and arguments, with `{port}` and `{dir}` to be replaced.
    command: Vec<String>,
    /// Whether it is a Durable Streams server, or gives everybody the same answer.
    pub(crate) speaks_the_protocol: bool,
}

/// All targets that can be measured here, or those that were asked for. Builds our own.
pub(crate) fn all(options: &Compare) -> io::Result<Vec<Target>> {
    let asked_for = |name: &str| {
        options.targets.is_empty() || options.targets.iter().any(|target| target == name)
    };
    let mut targets = Vec::new();
    if asked_for("streamkeeper") {
        targets.push(streamkeeper()?);
    }
    targets.extend([fixed("axum", "serve-axum")?, fixed("raw", "serve-raw")?]);
    targets.extend(peers::found(&options.peers_dir));
    targets.extend(options.peers.iter().map(|(name, command)| peers::by_command(name, command)));
    targets.retain(|target| asked_for(&target.name));
    let found = |name: &&String| targets.iter().any(|target| target.name == **name);
    match options.targets.iter().find(|name| !found(name)) {
        Some(missing) => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("no target `{missing}` here")))
        }
        None => Ok(targets),
    }
}

/// Our server, in the profile of this program.
fn streamkeeper() -> io::Result<Target> {
    let binary = streamkeeper_conformance::binary::path()?;
    let arguments = "--storage memory --listen 127.0.0.1:{port} --log-level warn --sse-lifetime 1h \
         --memory-limit 16GiB";
    Ok(Target::new("streamkeeper", binary, arguments, true))
}

/// A server of this program, that gives every request one answer.
fn fixed(name: &str, subcommand: &str) -> io::Result<Target> {
    Ok(Target::new(name, &env::current_exe()?, &format!("{subcommand} {{port}}"), false))
}

impl Target {
    fn new(name: &str, program: &Path, arguments: &str, speaks_the_protocol: bool) -> Self {
        let program = program.to_string_lossy().into_owned();
        let arguments = arguments.split_whitespace().map(str::to_owned);
        let command = [program].into_iter().chain(arguments).collect();
        Self { name: name.to_owned(), command, speaks_the_protocol }
    }
}
