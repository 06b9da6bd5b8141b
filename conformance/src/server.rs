//! One running server: started on a free loopback port, reached by its URL, ended with the value.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a server may take to say where it listens. Only a broken one comes near it.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a server that was asked to end is looked at.
const EXIT_POLL: Duration = Duration::from_millis(20);

/// How many lines of output are kept for a failure message.
const LOG_LINES: usize = 200;

/// A server process. Dropping it kills that process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
    log: Log,
}

impl Server {
    /// Starts the `streamkeeper` binary on a free port with `args` added, and waits until it listens.
    ///
    /// # Errors
    ///
    /// The binary cannot be built or started, ends early, or is silent for 30 s. The error holds
    /// the server's last output.
    pub fn start(args: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(crate::binary::path()?);
        command.args(["--listen", "127.0.0.1:0", "--log-format", "text"]).args(args);
        Self::spawn(command)
    }

    /// Starts any command that prints a line with `listening on` and a URL to its standard output.
    ///
    /// # Errors
    ///
    /// As for [`Server::start`].
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
        let log = Log::default();
        let (announce, announced) = mpsc::sync_channel(1);
        if let Some(stdout) = child.stdout.take() {
            drain(stdout, log.clone(), Some(announce));
        }
        if let Some(stderr) = child.stderr.take() {
            drain(stderr, log.clone(), None);
        }
        // From here on the child is owned by a value whose drop ends it.
        let mut server = Self { child, url: String::new(), log };
        server.url = server.announced_url(&announced)?;
        Ok(server)
    }

    fn announced_url(&self, announced: &Receiver<String>) -> io::Result<String> {
        announced.recv_timeout(START_TIMEOUT).map_err(|error| {
            let what = match error {
                RecvTimeoutError::Timeout => "did not say where it listens",
                RecvTimeoutError::Disconnected => "closed its output without listening",
            };
            io::Error::other(format!("the server {what}; its output:\n{}", self.log()))
        })
    }

    /// The base URL as the server prints it: `http://127.0.0.1:41234`, no trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the stream `name`.
    pub fn stream_url(&self, name: &str) -> String {
        format!("{}/v1/stream/{name}", self.url)
    }

    /// `host:port`, for tests that write HTTP by hand.
    pub fn authority(&self) -> &str {
        let rest = self.url.strip_prefix("http://").unwrap_or(&self.url);
        rest.split('/').next().unwrap_or(rest)
    }

    /// The id of the process, for tests that send it signals.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of standard output and standard error.
    pub fn log(&self) -> String {
        self.log.lines().iter().fold(String::new(), |all, line| all + line + "\n")
    }

    /// Kills the process at once, as a crash would, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Asks the process to end (SIGTERM) and waits `within` for it.
    ///
    /// # Errors
    ///
    /// It is still there then; it is killed, and the error holds its last output.
    pub fn terminate(mut self, within: Duration) -> io::Result<ExitStatus> {
        // The standard library sends no signal but SIGKILL; `kill` is in every POSIX system.
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        if !asked.success() {
            return Err(io::Error::other(format!("kill: {asked}")));
        }
        for _ in 0..=within.as_millis() / EXIT_POLL.as_millis() {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(EXIT_POLL);
        }
        let message = format!("still running {within:?} after SIGTERM; output:\n{}", self.log());
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads `output` to its end, or the server would block on a full pipe; announces the first URL.
fn drain(output: impl Read + Send + 'static, log: Log, mut announce: Option<SyncSender<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(url) = listening_url(&line)
                && let Some(announce) = announce.take()
            {
                // Nobody waits any more if the start timed out.
                let _ = announce.send(url.to_owned());
            }
            log.push(line);
        }
    });
}

fn listening_url(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("listening on")?;
    after.split_whitespace().find(|word| word.starts_with("http://"))
}

/// The last lines of a server's output, shared with the threads that read it.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut lines = self.lines();
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const LISTENING: &str =
        "echo 'x listening on http://127.0.0.1:7 (storage: memory)'; exec sleep 60";

    #[test]
    fn the_url_is_read_from_the_listening_line() {
        let server = Server::spawn(shell(LISTENING)).unwrap();
        assert_eq!(server.url(), "http://127.0.0.1:7");
        assert_eq!(server.authority(), "127.0.0.1:7");
        assert_eq!(server.stream_url("a/b"), "http://127.0.0.1:7/v1/stream/a/b");
    }

    #[test]
    fn a_server_that_ends_early_is_an_error_with_its_output() {
        let error = Server::spawn(shell("echo no such option; exit 2")).unwrap_err();
        assert!(error.to_string().contains("no such option"), "{error}");
    }

    #[test]
    fn a_server_is_asked_to_end() {
        let server = Server::spawn(shell(LISTENING)).unwrap();
        assert!(!server.terminate(Duration::from_secs(10)).unwrap().success());
    }
}
