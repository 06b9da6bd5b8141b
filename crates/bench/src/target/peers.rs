//! Other servers of the protocol: those that `install-peers` installs, and those that are named.
//!
//! Two crates install a binary of the same name, so each has a directory of its own and `PATH` cannot
//! tell them apart.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::Target;

/// A server that we know how to start.
struct Peer {
    name: &'static str,
    /// What must be there, below the directory of peers.
    program: &'static str,
    /// Its variables and arguments, as for `env`: `PROGRAM` stands for the program.
    command: &'static str,
}

const ELECTRIC: &str = "electric/bin/durable-streams-server";
const SAMPATON: &str = "thesampaton/bin/durable-streams-server";
const NODE: &str = "node/start.mjs";

/// Starts the npm package, which has no program of its own.
const NODE_SCRIPT: &str = include_str!("start.mjs");

const PEERS: &[Peer] = &[
    Peer {
        name: "electric-memory",
        program: ELECTRIC,
        command: "PROGRAM --port {port} --data-dir {dir} --durability memory",
    },
    Peer {
        name: "electric-wal",
        program: ELECTRIC,
        command: "PROGRAM --port {port} --data-dir {dir} --durability wal",
    },
    Peer {
        name: "thesampaton-memory",
        program: SAMPATON,
        command: "DS_SERVER__BIND_ADDRESS=127.0.0.1:{port} DS_STORAGE__MODE=memory \
                  DS_OBSERVABILITY__RUST_LOG=warn DS_LIMITS__MAX_MEMORY_BYTES=16000000000 \
                  DS_LIMITS__MAX_STREAM_BYTES=8000000000 PROGRAM",
    },
    Peer {
        name: "thesampaton-file",
        program: SAMPATON,
        command: "DS_SERVER__BIND_ADDRESS=127.0.0.1:{port} DS_STORAGE__MODE=file-durable \
                  DS_STORAGE__DATA_DIR={dir} DS_OBSERVABILITY__RUST_LOG=warn \
                  DS_LIMITS__MAX_MEMORY_BYTES=16000000000 DS_LIMITS__MAX_STREAM_BYTES=8000000000 PROGRAM",
    },
    Peer {
        name: "thesampaton-acid",
        program: SAMPATON,
        command: "DS_SERVER__BIND_ADDRESS=127.0.0.1:{port} DS_STORAGE__MODE=acid \
                  DS_STORAGE__DATA_DIR={dir} DS_OBSERVABILITY__RUST_LOG=warn \
                  DS_LIMITS__MAX_MEMORY_BYTES=16000000000 DS_LIMITS__MAX_STREAM_BYTES=8000000000 PROGRAM",
    },
    Peer { name: "node-memory", program: NODE, command: "node PROGRAM {port}" },
    Peer { name: "node-file", program: NODE, command: "node PROGRAM {port} {dir}" },
];

/// What `install-peers` runs in the directory of peers.
const INSTALLATIONS: &[&[&str]] = &[
    &["cargo", "install", "--locked", "--root", "electric", "durable-streams@0.1.5"],
    &["cargo", "install", "--locked", "--root", "thesampaton", "durable-streams-server@0.3.0"],
    &[
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--prefix",
        "node",
        "@durable-streams/server@0.3.7",
    ],
];

/// The names of all peers that we know how to start.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PEERS.iter().map(|peer| peer.name)
}

/// A known peer, if it is installed.
pub(super) fn find(name: &str, directory: &Path) -> Option<Target> {
    let peer = PEERS.iter().find(|peer| peer.name == name)?;
    let program = directory.join(peer.program);
    let command = peer.command.replace("PROGRAM", &program.to_string_lossy());
    program.is_file().then(|| Target::new(peer.name, Path::new("env"), &command, true))
}

/// A peer by a command for the shell, which must not stay in between.
pub(super) fn by_command(name: &str, command: &str) -> Target {
    let mut target = Target::new(name, Path::new("sh"), "-c", true);
    target.command.push(format!("exec {command}"));
    target
}

/// Installs the known peers from the registries. One that cannot be installed does not stop the others.
pub(crate) fn install(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory.join("node"))?;
    fs::write(directory.join(NODE), NODE_SCRIPT)?;
    let mut missing = Vec::new();
    for words in INSTALLATIONS {
        eprintln!("{}", words.join(" "));
        let status = Command::new(words[0]).args(&words[1..]).current_dir(directory).status();
        if !status.is_ok_and(|status| status.success()) {
            missing.push(words[words.len() - 1]);
        }
    }
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(io::Error::other(format!("not installed: {}", missing.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_not_installed_is_not_found() {
        let nowhere = Path::new("no such directory");
        assert!(names().all(|name| find(name, nowhere).is_none()));
    }

    #[test]
    fn a_peer_by_command_replaces_the_shell() {
        let target = by_command("mine", "server --port {port}");
        assert_eq!(target.command, ["sh", "-c", "exec server --port {port}"]);
    }
}
