//! The command line: every flag is told of, has its variable, and refuses nonsense clearly.

use std::process::{Command, Output, Stdio};

use streamkeeper_conformance::{Server, binary};
use streamkeeper_tests::binary::{address_of, start};
use streamkeeper_tests::{Connection, Request, Stream};

const FLAGS: &[&str] = &[
    "--listen",
    "--storage",
    "--data-dir",
    "--journal-segment-size",
    "--journal-ahead",
    "--read-cache",
    "--memory-limit",
    "--page-size",
    "--long-poll-timeout",
    "--sse-lifetime",
    "--cache",
    "--max-body",
    "--body-timeout",
    "--max-pending",
    "--max-pending-per-stream",
    "--dormant-after",
    "--max-awake-streams",
    "--retention-interval",
    "--shutdown-timeout",
    "--trust-forwarded",
    "--public-url",
    "--webhook-allow-localhost",
    "--webhook-key-lifetime",
    "--log-format",
    "--log-level",
];

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::path().unwrap());
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts the binary with variables instead of flags.
fn with_variables(variables: &[(&str, &str)]) -> Server {
    let mut command = Command::new(binary::path().unwrap());
    command
        .env("STREAMKEEPER_STORAGE", "memory")
        .env("STREAMKEEPER_LISTEN", "127.0.0.1:0")
        .envs(variables.iter().copied());
    Server::spawn(command).unwrap()
}

#[test]
fn help_tells_of_every_flag_and_its_variable() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = text(&output.stdout);
    for flag in FLAGS {
        assert!(help.contains(flag), "{flag} is missing from\n{help}");
        let variable = format!("STREAMKEEPER_{}", flag[2..].replace('-', "_").to_uppercase());
        assert!(help.contains(&variable), "{variable} is missing");
    }
    let told = help.split_whitespace().filter(|word| word.starts_with("--"));
    for flag in told.map(|flag| flag.trim_end_matches([',', '.', ';', ')'])) {
        let known = FLAGS.contains(&flag) || ["--help", "--version"].contains(&flag);
        assert!(known, "{flag} is told of and not tested here");
    }
    let output = run(&["--version"]);
    assert!(output.status.success() && text(&output.stdout).starts_with("streamkeeper "));
}

#[test]
fn values_that_make_no_sense_are_refused_with_the_flag_and_the_value() {
    for (flag, value) in [
        ("--listen", "nonsense"),
        ("--listen", "127.0.0.1"),
        ("--listen", "127.0.0.1:99999"),
        ("--storage", "paper"),
        ("--journal-segment-size", "1KiB"),
        ("--journal-ahead", "far"),
        ("--read-cache", "-1"),
        ("--memory-limit", "lots"),
        ("--page-size", "100"),
        ("--page-size", "-1"),
        ("--page-size", "1 parsec"),
        ("--long-poll-timeout", "soon"),
        ("--long-poll-timeout", "10"),
        ("--long-poll-timeout", "-1s"),
        ("--sse-lifetime", ""),
        ("--cache", "shared"),
        ("--max-body", "5GiB"),
        ("--max-body", "x"),
        ("--body-timeout", "1 fortnight"),
        ("--max-pending", "?"),
        ("--max-pending-per-stream", "1e9"),
        ("--dormant-after", "bedtime"),
        ("--max-awake-streams", "all"),
        ("--retention-interval", "often"),
        ("--public-url", "streams.example"),
        ("--webhook-key-lifetime", "for ever"),
        ("--shutdown-timeout", "never"),
        ("--log-format", "xml"),
    ] {
        let output = run(&[&format!("{flag}={value}")]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flag} {value}: {error}");
        assert!(error.contains(flag) && error.contains(value), "{flag} {value}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
    for arguments in [&["--no-such-flag"][..], &["what"], &["--page-size"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    }
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    for arguments in [
        &["--max-body", "1MiB", "--max-pending", "1MiB"][..],
        &["--max-body", "1MiB", "--max-pending-per-stream", "64KiB"],
    ] {
        let output =
            run(&[arguments, &["--storage", "memory", "--listen", "127.0.0.1:0"]].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("--max-body") && error.contains("--max-pending"), "{error}");
    }
}

#[test]
fn a_second_server_on_the_same_port_says_so_and_ends() {
    let server = start(&[]);
    let output = run(&["--storage", "memory", "--listen", server.authority()]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(server.authority()) && error.contains("in use"), "{error}");
    assert!(!text(&output.stdout).contains("listening on"));
}

#[tokio::test]
async fn variables_work_as_flags_do() {
    let server = with_variables(&[
        ("STREAMKEEPER_PAGE_SIZE", "1KiB"),
        ("STREAMKEEPER_LONG_POLL_TIMEOUT", "100ms"),
        ("STREAMKEEPER_CACHE", "private"),
        ("STREAMKEEPER_MAX_BODY", "2000"),
        ("STREAMKEEPER_TRUST_FORWARDED", "true"),
        ("STREAMKEEPER_LOG_FORMAT", "json"),
        ("STREAMKEEPER_LOG_LEVEL", "debug"),
    ]);
    let stream = Stream::fresh(address_of(&server), "text/plain");
    let put = stream.put().header("X-Forwarded-Proto", "https");
    let created = stream.send(&put.header("X-Forwarded-Host", "example.com")).await.expect(201);
    let location = format!("https://example.com{}", stream.path);
    assert_eq!(created.header("location"), Some(location.as_str()));
    for _ in 0..3 {
        stream.append("x".repeat(1000)).await;
    }
    let page = stream.read("").await;
    assert_eq!(page.body.len(), 1000);
    assert!(page.header("cache-control").unwrap().starts_with("private"));
    stream.read("offset=now&live=long-poll").await.expect(204);
    stream.send(&stream.post("x".repeat(2001))).await.expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_flag_is_stronger_than_its_variable() {
    let mut command = Command::new(binary::path().unwrap());
    command.env("STREAMKEEPER_LISTEN", "127.0.0.1:1").env("STREAMKEEPER_MAX_BODY", "10");
    command.args(["--storage", "memory", "--listen", "127.0.0.1:0", "--max-body", "20"]);
    let server = Server::spawn(command).unwrap();
    let stream = Stream::create(address_of(&server), "text/plain").await;
    stream.append("x".repeat(20)).await;
    stream.send(&stream.post("x".repeat(21))).await.expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn the_memory_limit_is_507_and_deleting_makes_room() {
    let server = start(&["--memory-limit", "10KiB"]);
    let stream = Stream::create(address_of(&server), "text/plain").await;
    stream.append("x".repeat(8 << 10)).await;
    let more = stream.post("y".repeat(4 << 10));
    for _ in 0..10 {
        stream.send(&more).await.expect_problem(507, "storage_full");
    }
    let other = Stream::fresh(address_of(&server), "text/plain");
    let put = other.put().body("y".repeat(4 << 10));
    other.send(&put).await.expect_problem(507, "storage_full");
    assert_eq!(other.head().await.status, 404);
    stream.append("z".repeat(2 << 10)).await;
    stream.delete().await.expect(204);
    other.send(&put).await.expect(201);
}

#[tokio::test]
async fn the_journal_is_written_ahead_as_far_as_was_asked_for() {
    for (ahead, least, most) in [("0", 100, 4_000), ("256KiB", 256 << 10, 300 << 10)] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().to_str().unwrap();
        let flags = ["--storage", "log", "--data-dir", data, "--journal-ahead", ahead];
        let server = Server::start(&flags).unwrap();
        Stream::create(address_of(&server), "text/plain").await.append("hello").await;
        let journal = std::fs::read_dir(dir.path().join("journal")).unwrap();
        let bytes: u64 = journal.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!((least..most).contains(&bytes), "{ahead}: {bytes}");
    }
}

#[tokio::test]
async fn a_log_filter_that_cannot_be_read_does_not_keep_the_server_from_starting() {
    let server = start(&["--log-level", "=== nonsense"]);
    let mut connection = Connection::open(address_of(&server)).await;
    connection.send(&Request::new("GET", "/healthz")).await.expect(200);
    assert!(server.log().contains("log filter"), "{}", server.log());
}
