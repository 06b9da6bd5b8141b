//! The official suite and the official client against the `streamkeeper` binary, one test a set-up.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use streamkeeper_conformance::gaps::{self, Expected};
use streamkeeper_conformance::report::Report;
use streamkeeper_conformance::{Server, node, vitest};

/// A suite has deadlines of its own: two at once on a small machine would take each other's time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How long a server without work may take to end.
const SHUTDOWN: Duration = Duration::from_secs(10);

const MEMORY: &[&str] = &["--storage", "memory"];
/// Segments so small that most of what the suite writes is filed while it runs.
const LOG: &[&str] = &["--storage", "log", "--journal-segment-size", "64KiB"];
const SMALL_PAGE: &[&str] = &["--page-size", "4KiB"];
/// Streams fall asleep between any two requests.
const DROWSY: &[&str] = &["--dormant-after", "20ms", "--max-awake-streams", "1"];

#[test]
fn suite_memory_default_page() {
    official_suite("suite-memory-default-page", MEMORY);
}

#[test]
fn suite_memory_4_kib_page() {
    official_suite("suite-memory-4-kib-page", &[MEMORY, SMALL_PAGE].concat());
}

#[test]
fn suite_log_default_page() {
    official_suite("suite-log-default-page", LOG);
}

#[test]
fn suite_log_4_kib_page() {
    official_suite("suite-log-4-kib-page", &[LOG, SMALL_PAGE].concat());
}

#[test]
fn suite_log_4_kib_page_drowsy() {
    official_suite("suite-log-4-kib-page-drowsy", &[LOG, SMALL_PAGE, DROWSY].concat());
}

#[test]
fn client_memory_default_page() {
    official_client("client-memory-default-page", MEMORY);
}

#[test]
fn client_log_4_kib_page() {
    official_client("client-log-4-kib-page", &[LOG, SMALL_PAGE].concat());
}

fn official_suite(title: &str, args: &[&str]) {
    let expected = Expected::read().expect("known-gaps.json is readable");
    run(title, "suite.test.mjs", args, |report| expected.judge(report));
}

fn official_client(title: &str, args: &[&str]) {
    run(title, "client/", args, gaps::all_pass);
}

/// Runs the tests in `filter` against a server with `args`; panics with every problem there is.
fn run(title: &str, filter: &str, args: &[&str], judge: impl Fn(&Report) -> Vec<String>) {
    if let Some(reason) = node::missing() {
        assert!(!is_ci(), "{title}: {reason}; the suite is required here");
        say(&format!("\n*** {title} was SKIPPED, it proves nothing: {reason} ***\n"));
        return;
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    // The suite waits for long-polls to time out, in tests that end after a few seconds.
    let data = tempfile::tempdir().expect("a directory for the data");
    let data_dir = data.path().join("data").display().to_string();
    let common = ["--long-poll-timeout", "500ms", "--data-dir", &data_dir];
    let args = [args, &common].concat();
    // Not `expect`: these errors hold whole logs, and are to be read.
    let fail = |error: io::Error| -> ! { panic!("{title}: {error}") };
    let server = Server::start(&args).unwrap_or_else(|error| fail(error));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(title).with_extension("json");
    let report = vitest::run(filter, server.url(), &file).unwrap_or_else(|error| fail(error));
    say(&format!("{title:<28} {report}"));

    let problems = judge(&report);
    let log = server.log();
    assert!(
        problems.is_empty(),
        "{title}: {} problem(s)\n\n{}\n\nthe server's last output:\n{log}",
        problems.len(),
        problems.join("\n\n"),
    );
    let status = server.terminate(SHUTDOWN).unwrap_or_else(|error| fail(error));
    assert!(status.success(), "{title}: the server ended with {status}; its output:\n{log}");
}

fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

/// Writes past the test runner's capture: counts and skips are seen in every run.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
