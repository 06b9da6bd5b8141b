//! A target that runs: started on a free port in an empty directory, ended with the value.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::Target;
use crate::pinning::Pinning;

/// How often, and how many times, a server is looked at while it starts.
const START_POLL: Duration = Duration::from_millis(10);
const START_POLLS: u32 = 3000;

/// How much of its output is shown when something fails.
const LOG_LINES: usize = 30;

/// A server process. Dropping it kills that process and removes its directory.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    directory: PathBuf,
    address: SocketAddr,
}

impl Target {
    /// Starts the server and waits until it accepts connections.
    pub(crate) fn start(&self, pinning: &Pinning) -> io::Result<Running> {
        let address = free_address()?;
        let directory = new_directory()?;
        let data = directory.join("data");
        fs::create_dir_all(&data)?;
        let output = File::create(directory.join("log"))?;
        let port = address.port().to_string();
        let data = data.to_string_lossy();
        let mut words =
            self.command.iter().map(|word| word.replace("{port}", &port).replace("{dir}", &data));
        let program = words.next().unwrap_or_default();
        let child = pinning
            .server_command(&program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.name)))?;
        // From here on the child is owned by a value whose drop ends it.
        let mut running = Running { child, directory, address };
        running.wait_until_it_listens()?;
        Ok(running)
    }
}

impl Running {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that it printed.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn wait_until_it_listens(&mut self) -> io::Result<()> {
        for _ in 0..START_POLLS {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("ended at once: {status}\n{}", self.log())));
            }
            thread::sleep(START_POLL);
        }
        Err(io::Error::other(format!("does not listen on {}\n{}", self.address, self.log())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All fail only if there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// An address that nobody uses now. Somebody else may take it first; the start then fails.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn new_directory() -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("streamkeeper-bench-{}-{count}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
