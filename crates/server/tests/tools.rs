//! The tools by the real binary: a server writes, is stopped, and its log is checked, exported and
//! imported elsewhere.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_streamkeeper");

struct Server {
    process: Child,
    address: String,
    _out: BufReader<ChildStdout>,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut process = Command::new(BINARY)
            .args(["--listen", "127.0.0.1:0", "--storage", "log", "--log-level", "warn"])
            .arg("--data-dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut out = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Self { process, address, _out: out }
    }

    fn ask(&self, method: &str, name: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut connection = TcpStream::connect(&self.address).expect("the server listens");
        let mut request = format!("{method} /v1/stream/{name} HTTP/1.1\r\nHost: test\r\n");
        for (header, value) in headers {
            request.push_str(&format!("{header}: {value}\r\n"));
        }
        let length = body.len();
        request.push_str(&format!("Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"));
        connection.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn expect(&self, status: u16, method: &str, name: &str, headers: &[(&str, &str)], body: &str) {
        let answer = self.ask(method, name, headers, body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{method} {name}: {answer}");
    }

    /// What clients see of a stream, but for the time.
    fn read(&self, name: &str) -> String {
        let answer = self.ask("GET", &format!("{name}?offset=-1"), &[], "");
        let lines = answer.lines().filter(|line| !line.to_lowercase().starts_with("date:"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Server {
    /// A test that fails leaves no server behind.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tool(arguments: &[&str], dir: &Path) -> Output {
    Command::new(BINARY).current_dir(dir).args(arguments).output().expect("the tool runs")
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).expect("text")
}

fn succeeds(arguments: &[&str], dir: &Path) -> Output {
    let output = tool(arguments, dir);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    output
}

fn write_streams(server: &Server) {
    let text = ("Content-Type", "text/plain");
    let json = ("Content-Type", "application/json");
    server.expect(201, "PUT", "a", &[text], "");
    server.expect(204, "POST", "a", &[text], "first ");
    let producer = [("Producer-Id", "p"), ("Producer-Epoch", "1"), ("Producer-Seq", "0")];
    server.expect(200, "POST", "a", &[&[text], &producer[..]].concat(), "second");
    server.expect(201, "PUT", "json", &[json, ("Stream-TTL", "3600")], "");
    server.expect(204, "POST", "json", &[json, ("Stream-Seq", "1")], "[{\"x\":1},2]");
    server.expect(201, "PUT", "closed", &[text, ("Stream-Closed", "true")], "the end");
    let fork = [
        ("Stream-Forked-From", "/v1/stream/a"),
        ("Stream-Fork-Offset", "0000000000000000_0000000000000006"),
    ];
    server.expect(201, "PUT", "forks/f", &fork, "");
    server.expect(204, "POST", "forks/f", &[text], "other");
}

const NAMES: [&str; 4] = ["a", "json", "closed", "forks/f"];

#[test]
fn what_a_server_wrote_is_exported_imported_and_served_again() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    let server = Server::start(&home.join("data"));
    write_streams(&server);
    let before = NAMES.map(|name| server.read(name));
    assert!(before[3].contains("first other"), "{}", before[3]);
    let in_use = tool(&["check", "data"], home);
    assert_eq!(in_use.status.code(), Some(2));
    assert!(said(&in_use).contains("data is in use"), "{}", said(&in_use));
    assert!(!tool(&["export", "data"], home).status.success());
    server.stop();

    let clean = succeeds(&["check", "data"], home);
    assert!(said(&clean).contains("4 streams, 6 messages"), "{}", said(&clean));
    let export = succeeds(&["export", "data"], home).stdout;
    succeeds(&["export", "data", "--output", "data.jsonl"], home);
    assert_eq!(fs::read(home.join("data.jsonl")).expect("the export"), export);
    assert_eq!(fs::read_dir(home).expect("a directory").count(), 2);
    let forks = succeeds(&["export", "data", "--prefix", "forks/"], home);
    assert!(String::from_utf8_lossy(&forks.stderr).contains("inherit from it: `a`"));

    succeeds(&["import", "data.jsonl", "copy"], home);
    assert_eq!(succeeds(&["export", "copy"], home).stdout, export);
    let server = Server::start(&home.join("copy"));
    assert_eq!(NAMES.map(|name| server.read(name)), before);
    let text = ("Content-Type", "text/plain");
    let again = [text, ("Producer-Id", "p"), ("Producer-Epoch", "1"), ("Producer-Seq", "0")];
    server.expect(204, "POST", "a", &again, "second");
    assert_eq!(server.read("a"), before[0], "a retry adds nothing");
    server.expect(409, "POST", "closed", &[text], "more");
    server.stop();

    let refused = tool(&["import", "data.jsonl", "copy"], home);
    assert!(said(&refused).contains("--replace"), "{}", said(&refused));
    let replaced = succeeds(&["import", "data.jsonl", "copy", "--replace"], home);
    assert!(said(&replaced).contains("copy.replaced-1"), "{}", said(&replaced));
    fs::write(home.join("cut.jsonl"), &export[..export.len() / 2]).expect("a cut export");
    let cut = tool(&["import", "cut.jsonl", "other"], home);
    assert!(!cut.status.success() && said(&cut).contains("line "), "{}", said(&cut));
    assert!(!home.join("other").exists() && !home.join("other.importing").exists());
}

#[test]
fn damage_is_found_repaired_and_served_as_corrupt_until_somebody_chooses() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    let server = Server::start(&home.join("data"));
    write_streams(&server);
    let before = NAMES.map(|name| server.read(name));
    server.stop();
    let journal = home.join("data/journal/0000000000000000.journal");
    let mut bytes = fs::read(&journal).expect("the journal");
    let message = b"{\"x\":1}";
    let at = bytes.windows(7).position(|window| window == message).expect("the message");
    bytes[at + 5] ^= 1;
    fs::write(&journal, bytes).expect("damage");

    let found = tool(&["check", "data"], home);
    assert_eq!(found.status.code(), Some(1));
    let finding = "journal/0000000000000000.journal, byte ";
    assert!(said(&found).contains(finding), "{}", said(&found));
    assert!(said(&found).contains("stream `json`: a record is damaged"), "{}", said(&found));
    assert!(!tool(&["export", "data"], home).status.success());
    let repaired = tool(&["check", "data", "--repair"], home);
    assert!(said(&repaired).contains("kept as it was: quarantine/"), "{}", said(&repaired));
    let server = Server::start(&home.join("data"));
    for at in [0, 2, 3] {
        assert_eq!(server.read(NAMES[at]), before[at]);
    }
    let corrupt = server.read("json");
    assert!(
        corrupt.starts_with("HTTP/1.1 500") && corrupt.contains("storage_corrupt"),
        "{corrupt}"
    );
    server.stop();

    assert_eq!(tool(&["check", "data"], home).status.code(), Some(1));
    let truncated = tool(&["check", "data", "--repair", "--truncate-damaged"], home);
    assert!(said(&truncated).contains("truncated: stream `json`"), "{}", said(&truncated));
    succeeds(&["check", "data"], home);
    let server = Server::start(&home.join("data"));
    let kept = server.read("json");
    assert!(kept.starts_with("HTTP/1.1 200") && kept.ends_with("[]"), "{kept}");
    server.stop();
}

#[test]
fn the_help_is_readable_and_variables_of_the_server_do_no_harm() {
    let home = tempfile::tempdir().expect("a directory");
    let help = said(&succeeds(&["--help"], home.path()));
    assert!(help.contains("Commands:") && help.contains("export"), "{help}");
    let mut check = Command::new(BINARY);
    check.args(["check", "nowhere"]).env("STREAMKEEPER_LISTEN", "127.0.0.1:1");
    let checked = check.current_dir(home.path()).output().expect("the tool runs");
    assert_eq!(checked.status.code(), Some(2), "{}", said(&checked));
    assert!(said(&checked).contains("nowhere"), "{}", said(&checked));
    assert!(!tool(&["check", "x", "--truncate-damaged"], home.path()).status.success());
}
