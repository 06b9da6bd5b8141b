//! A target that runs: started on a free port in an empty directory, ended with the value.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::Target;
use crate::pinning::Pinning;

/// How often, and how many times, a server is looked at while it starts or stops: for five minutes.
const POLL: Duration = Duration::from_millis(10);
const POLLS: u32 = 30_000;

/// How much of its output is shown when something fails.
const LOG_LINES: usize = 30;

/// A server process. Dropping it kills that process and removes its directory.
#[derive(Debug)]
pub(crate) struct Running {
    target: Target,
    pinning: Pinning,
    child: Child,
    directory: Directory,
    address: SocketAddr,
}

/// How a server is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is asked to, by SIGTERM.
    Asked,
    /// It is killed.
    Killed,
}

impl Target {
    /// Starts the server and waits until it accepts connections.
    pub(crate) fn start(&self, pinning: &Pinning) -> io::Result<Running> {
        let address = free_address()?;
        let directory = Directory::new()?;
        let child = self.spawn(pinning, address, &directory)?;
        // From here on the child is owned by a value whose drop ends it.
        let mut running =
            Running { target: self.clone(), pinning: pinning.clone(), child, directory, address };
        running.wait_until_it_listens()?;
        Ok(running)
    }

    fn spawn(
        &self,
        pinning: &Pinning,
        address: SocketAddr,
        directory: &Directory,
    ) -> io::Result<Child> {
        let output = File::options().create(true).append(true).open(directory.log())?;
        let port = address.port().to_string();
        let data = directory.data();
        let data = data.to_string_lossy();
        let mut words =
            self.command.iter().map(|word| word.replace("{port}", &port).replace("{dir}", &data));
        let program = words.next().unwrap_or_default();
        pinning
            .server_command(&program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.name)))
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

    /// The directory that the server was given for its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.data()
    }

    /// The last lines that it printed.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.directory.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Ends the server and waits for its end.
    pub(crate) fn end(&mut self, how: Ending) -> io::Result<()> {
        if how == Ending::Asked {
            let status = Command::new("kill").arg(self.pid().to_string()).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("kill: {status}")));
            }
            for _ in 0..POLLS {
                if self.child.try_wait()?.is_some() {
                    return Ok(());
                }
                thread::sleep(POLL);
            }
        }
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts a server that was ended, on the same data, and waits until it accepts connections.
    pub(crate) fn start_again(&mut self) -> io::Result<()> {
        self.child = self.target.spawn(&self.pinning, self.address, &self.directory)?;
        self.wait_until_it_listens()
    }

    fn wait_until_it_listens(&mut self) -> io::Result<()> {
        for _ in 0..POLLS {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("ended at once: {status}\n{}", self.log())));
            }
            thread::sleep(POLL);
        }
        Err(io::Error::other(format!("does not listen on {}\n{}", self.address, self.log())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody uses now. Somebody else may take it first; the start then fails.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A server's directory: its log, and what it is given for its data. Removed when dropped.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("streamkeeper-bench-{}-{count}", std::process::id());
        let directory = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(directory.data())?;
        Ok(directory)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The bytes of all files below a directory, by their lengths; what vanishes meanwhile counts nothing.
pub(crate) fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
