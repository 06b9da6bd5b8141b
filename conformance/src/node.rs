//! Node.js on this machine: is it there, and are the pinned npm packages installed.

use std::fs::{self, File};
use std::io;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The oldest Node.js that the pinned vitest runs on.
pub const OLDEST: (u32, u32) = (20, 19);

/// Why the JavaScript tests cannot run here; `None` if they can.
pub fn missing() -> Option<String> {
    let output = match Command::new("node").arg("--version").stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return Some(format!("node --version: {error}")),
    };
    let version = String::from_utf8_lossy(&output.stdout);
    let version = version.trim();
    let (major, minor) = OLDEST;
    match parse(version) {
        Some(found) if found >= OLDEST => None,
        _ => Some(format!("Node.js {major}.{minor} or newer is needed, found {version:?}")),
    }
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('v')?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Installs what `package-lock.json` pins, unless that is done.
///
/// # Errors
///
/// `npm ci` fails; the error holds its output.
pub fn install() -> io::Result<()> {
    let dir = crate::package_dir();
    // Tests are many processes, and `npm ci` begins by deleting what another one may be using.
    let lock_file = File::open(dir.join("package-lock.json"))?;
    lock_file.lock()?;
    // npm writes this file last: it is there only if an install went through.
    let installed = modified(fs::metadata(dir.join("node_modules/.package-lock.json")))?;
    if installed >= modified(lock_file.metadata())? {
        return Ok(());
    }
    let output = Command::new("npm").arg("ci").current_dir(dir).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("npm ci: {}\n{said}", output.status)));
    }
    Ok(())
}

/// When a file was last written; a file that is not there has no time.
fn modified(metadata: io::Result<fs::Metadata>) -> io::Result<Option<SystemTime>> {
    match metadata {
        Ok(metadata) => metadata.modified().map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse("v20.19.2"), Some((20, 19)));
        assert!(parse("v20.9.0") < Some(OLDEST));
        assert!(parse("v100.0.0") >= Some(OLDEST));
        assert_eq!(parse("command not found"), None);
    }
}
