//! The server under test: one process at a time on one data directory, ended by its id.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// How long a start may take on a machine that does nothing else to speak of.
pub(crate) const READY_WITHIN: Duration =
    Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 10 });

/// How long the process may take to end after SIGTERM; its own limit is 10 s.
const EXIT_WITHIN: Duration = Duration::from_secs(30);

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) started_in: Duration,
}

/// A process that may not listen yet. Dropping it kills the process.
#[derive(Debug)]
struct Spawned {
    child: Option<Child>,
    log: PathBuf,
}

impl Server {
    /// Starts the server on the data in `dir/data`, with its log events in a file beside it.
    pub(crate) fn start(binary: &Path, dir: &Path, run: &str) -> io::Result<Self> {
        let began = Instant::now();
        let mut spawned = Spawned::new(binary, dir, run)?;
        let stdout = spawned.child.as_mut().and_then(|child| child.stdout.take());
        let stdout = stdout.ok_or_else(|| io::Error::other("no standard output"))?;
        let (announce, announced) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
                if let Some(address) = url.and_then(|url| url.parse::<SocketAddr>().ok()) {
                    let _ = announce.send(address);
                }
            }
        });
        let address = announced.recv_timeout(READY_WITHIN).map_err(|error| {
            let log = fs::read_to_string(&spawned.log).unwrap_or_default();
            io::Error::other(format!(
                "not ready within {READY_WITHIN:?} ({error}); its log:\n{log}"
            ))
        })?;
        let child = spawned.child.take().ok_or_else(|| io::Error::other("no process"))?;
        let log = spawned.log.clone();
        Ok(Self { child, log, address, started_in: began.elapsed() })
    }

    /// Starts the server and kills it after a while, wherever its recovery is then.
    pub(crate) fn start_and_kill(
        binary: &Path,
        dir: &Path,
        run: &str,
        after: Duration,
    ) -> io::Result<()> {
        let spawned = Spawned::new(binary, dir, run)?;
        thread::sleep(after);
        let log = spawned.log.clone();
        drop(spawned);
        complaints(&log)
    }

    /// Ends the process with SIGKILL. Fails if it has complained of anything until then.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(io::Error::other(format!("the server had ended by itself: {status}")));
        }
        self.child.kill()?;
        self.child.wait()?;
        complaints(&self.log)
    }

    /// Ends the process with SIGTERM, and waits for it.
    pub(crate) fn terminate(mut self) -> io::Result<ExitStatus> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let deadline = Instant::now() + EXIT_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return complaints(&self.log).map(|()| status);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("alive {EXIT_WITHIN:?} after SIGTERM")));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Spawned {
    fn new(binary: &Path, dir: &Path, run: &str) -> io::Result<Self> {
        let log = dir.join(format!("stderr-{run}.log"));
        let child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--storage", "log", "--log-format", "json"])
            // Long-polls that end before a client loses its patience.
            .args(["--long-poll-timeout", "5s", "--page-size", "64KiB", "--data-dir"])
            .arg(dir.join("data"))
            // So small that most of what is served has been filed.
            .env("STREAMKEEPER_JOURNAL_SEGMENT_SIZE", "64KiB")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self { child: Some(child), log })
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Fails if the log tells of a panic, of a log that gave up, or of damage.
fn complaints(log: &Path) -> io::Result<()> {
    let text = fs::read_to_string(log)?;
    let is_bad = |line: &str| {
        let damaged = line.contains("damage") && !line.contains("\"damage\":0");
        damaged || ["panicked", "poisoned", "\"level\":\"ERROR\""].iter().any(|s| line.contains(s))
    };
    let bad: Vec<&str> = text.lines().filter(|line| is_bad(line)).take(20).collect();
    match bad.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{}: {}", log.display(), bad.join("\n")))),
    }
}
