//! Finds the `streamkeeper` executable: builds it with cargo, once in a process.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// Environment variable that names an executable to test instead of one built here.
pub const OVERRIDE: &str = "STREAMKEEPER_BIN";

/// The path of the executable, built in the profile that the caller was built in.
///
/// cargo itself decides where it lies (`CARGO_TARGET_DIR` and configuration hold) and whether there
/// is anything to build, and its lock makes concurrent calls safe. The first outcome is kept: a
/// build that failed once is not repeated by every test.
pub fn path() -> io::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| match env::var_os(OVERRIDE) {
        Some(path) => Ok(path.into()),
        None => build().map_err(|error| error.to_string()),
    });
    built.as_deref().map_err(|error| io::Error::other(error.as_str()))
}

fn build() -> io::Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "-p", "streamkeeper-server", "--bin", "streamkeeper"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(crate::package_dir())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo build: {}", output.status)));
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| io::Error::other("cargo build named no executable `streamkeeper`"))
}

/// The part of cargo's `compiler-artifact` message that says where an executable went.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        // Other kinds of message have other shapes, and are none of our business.
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.name == "streamkeeper")
        .find_map(|artifact| artifact.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_cargos_messages() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"streamkeeper"},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"build"},"executable":"/t/build"}
            {"reason":"compiler-artifact","target":{"name":"streamkeeper"},"executable":"/t/streamkeeper"}
            {"reason":"build-finished","success":true}
        "#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/streamkeeper")));
        assert_eq!(executable(""), None);
    }
}
