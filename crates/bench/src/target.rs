//! What is measured: servers, each a child process that is started anew for each measurement.

pub(crate) mod axum;
pub(crate) mod peers;
pub(crate) mod raw;
mod running;

use std::env;
use std::io;
use std::path::Path;

use crate::cli::Servers;

pub(crate) use running::{Ending, Running, bytes_below};

/// Our own server with the durable storage.
pub(crate) const OURS_DURABLE: &str = "streamkeeper-log";

/// The targets that others are compared with, where they take part: the ceiling and who is to be beaten.
pub(crate) const REFERENCES: &[&str] = &["axum", "electric-memory", "electric-wal"];

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
///
/// Peers that are given by their command always take part. A known peer that is not installed is left
/// out with a word about it.
pub(crate) fn all(options: &Servers) -> io::Result<Vec<Target>> {
    let asked_for = |name: &str| {
        options.targets.is_empty() || options.targets.iter().any(|target| target == name)
    };
    let mut targets = Vec::new();
    for (name, storage) in
        [("streamkeeper-memory", "memory"), (OURS_DURABLE, "log --data-dir {dir}/log")]
    {
        if asked_for(name) {
            targets.push(streamkeeper(name, storage, &options.server_args)?);
        }
    }
    for (name, subcommand) in [("axum", "serve-axum"), ("raw", "serve-raw")] {
        if asked_for(name) {
            targets.push(fixed(name, subcommand)?);
        }
    }
    for name in peers::names().filter(|name| asked_for(name)) {
        match peers::find(name, &options.peers_dir) {
            Some(target) => targets.push(target),
            None => eprintln!("{name} is left out: not in {}", options.peers_dir.display()),
        }
    }
    targets.extend(options.peers.iter().map(|(name, command)| peers::by_command(name, command)));
    let found = |name: &&String| targets.iter().any(|target| target.name == **name);
    match options.targets.iter().find(|name| !found(name)) {
        Some(missing) => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("no target `{missing}` here")))
        }
        None => Ok(targets),
    }
}

/// Our server, in the profile of this program. Its limits are out of the way of what is measured.
fn streamkeeper(name: &str, storage: &str, further: &[String]) -> io::Result<Target> {
    let binary = streamkeeper_conformance::binary::path()?;
    let arguments = format!(
        "--storage {storage} --listen 127.0.0.1:{{port}} --log-level warn --sse-lifetime 1h \
         --memory-limit 16GiB"
    );
    let mut target = Target::new(name, binary, &arguments, true);
    target.command.extend_from_slice(further);
    Ok(target)
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
