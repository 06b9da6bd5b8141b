//! Other servers of the protocol: those that the README's command installs, and those that are named.
//!
//! Two crates install a binary of the same name, so each has a directory of its own and `PATH` cannot
//! tell them apart.

use std::path::Path;

use super::Target;

/// A server that we know how to start.
struct Peer {
    name: &'static str,
    /// Where it is, below the directory of peers.
    program: &'static str,
    /// Its variables and arguments, as for `env`: `PROGRAM` stands for the program.
    command: &'static str,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "electric-memory",
        program: "electric/bin/durable-streams-server",
        command: "PROGRAM --port {port} --data-dir {dir} --durability memory",
    },
    Peer {
        name: "electric-wal",
        program: "electric/bin/durable-streams-server",
        command: "PROGRAM --port {port} --data-dir {dir} --durability wal",
    },
    Peer {
        name: "thesampaton",
        program: "thesampaton/bin/durable-streams-server",
        command: "DS_SERVER__BIND_ADDRESS=127.0.0.1:{port} DS_STORAGE__MODE=memory \
                  DS_OBSERVABILITY__RUST_LOG=warn DS_LIMITS__MAX_MEMORY_BYTES=16000000000 \
                  DS_LIMITS__MAX_STREAM_BYTES=8000000000 PROGRAM",
    },
];

/// The known peers that are installed.
pub(super) fn found(directory: &Path) -> Vec<Target> {
    let installed = PEERS.iter().filter(|peer| directory.join(peer.program).is_file());
    let target = |peer: &Peer| {
        let program = directory.join(peer.program);
        let command = peer.command.replace("PROGRAM", &program.to_string_lossy());
        Target::new(peer.name, Path::new("env"), &command, true)
    };
    installed.map(target).collect()
}

/// A peer by a command for the shell, which must not stay in between.
pub(super) fn by_command(name: &str, command: &str) -> Target {
    let mut target = Target::new(name, Path::new("sh"), "-c", true);
    target.command.push(format!("exec {command}"));
    target
}
