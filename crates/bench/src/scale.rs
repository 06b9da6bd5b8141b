//! Very many streams in one server: what making them takes, what they cost, and what a restart does.

mod appends;
mod report;

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use crate::cli::{Scale, Servers};
use crate::http::{Connection, request};
use crate::load::{Sample, Window};
use crate::pinning::Pinning;
use crate::process::{self, Machine};
use crate::scenario::setup;
use crate::target::{self, Ending, OURS_DURABLE, Running, Target, bytes_below};

/// How many streams there are when appends are measured first.
const FEW: usize = 64;

const WARM_UP: Duration = Duration::from_millis(500);

/// One thing that was done to a server, and what the server was like then.
#[derive(Debug, Serialize)]
struct Step {
    what: &'static str,
    /// How long it took, in seconds, where that says something.
    seconds: Option<f64>,
    /// The load that was measured, where it was.
    appends: Option<Sample>,
    rss_mib: f64,
    open_files: usize,
    disk_mib: f64,
}

/// Runs the steps against each target and prints them.
pub(crate) fn run(options: &Scale) -> io::Result<()> {
    process::raise_open_files()?;
    let mut servers: Servers = options.servers.clone();
    if servers.targets.is_empty() && servers.peers.is_empty() {
        servers.targets.push(OURS_DURABLE.to_owned());
    }
    let pinning = Pinning::new(&servers);
    let targets = target::all(&servers)?;
    pinning.pin_self()?;
    let mut reports = Vec::new();
    let mut failures = 0;
    for target in targets.iter().filter(|target| target.speaks_the_protocol) {
        let mut steps = Vec::new();
        let outcome = scale(options, target, &pinning, &mut steps);
        let failed = outcome.as_ref().err().map(ToString::to_string);
        failures += usize::from(failed.is_some());
        report::print(&target.name, options.streams, &steps, failed.as_deref());
        reports.push(json!({ "name": target.name, "steps": steps, "failed": failed }));
    }
    if let Some(file) = &options.json {
        let machine = Machine::read();
        let all = json!({ "machine": machine, "streams": options.streams, "targets": reports });
        fs::write(file, serde_json::to_vec_pretty(&all)?)?;
    }
    match failures {
        0 => Ok(()),
        failures => Err(io::Error::other(format!("{failures} targets failed"))),
    }
}

/// What was done before a failure stays in `steps`.
fn scale(
    options: &Scale,
    target: &Target,
    pinning: &Pinning,
    steps: &mut Vec<Step>,
) -> io::Result<()> {
    let mut server = target.start(pinning)?;
    let runtime = pinning.load_runtime()?;
    let window = Window { warm_up: WARM_UP, measured: Duration::from_secs_f64(options.seconds) };
    let append = |server: &Running, streams| {
        runtime.block_on(appends::run(server, window, streams)).map(Some)
    };
    let all = options.streams;

    make(&runtime, &server, 0..FEW)?;
    steps.push(Step::now("64 streams: appends", &server, None, append(&server, FEW)?));
    let took = make(&runtime, &server, FEW..all.max(FEW))?;
    steps.push(Step::now("all created", &server, Some(took), None));
    steps.push(Step::now("appends to 64 of them", &server, None, append(&server, FEW)?));
    steps.push(Step::now("appends to all", &server, None, append(&server, all)?));
    if options.dormant_wait > 0 {
        thread::sleep(Duration::from_secs(options.dormant_wait));
        steps.push(Step::now("left alone", &server, Some(options.dormant_wait as f64), None));
    }
    let begun = Instant::now();
    server.end(Ending::Asked)?;
    steps.push(Step::now("asked to stop", &server, Some(begun.elapsed().as_secs_f64()), None));
    let took = open(&runtime, &mut server, all)?;
    steps.push(Step::now("started: first answer", &server, Some(took), None));
    steps.push(Step::now("appends to all", &server, None, append(&server, all)?));
    server.end(Ending::Killed)?;
    let took = open(&runtime, &mut server, all)?;
    steps.push(Step::now("killed, started: first answer", &server, Some(took), None));
    Ok(())
}

/// Makes streams with one message each; tells how many seconds it took.
fn make(
    runtime: &tokio::runtime::Runtime,
    server: &Running,
    streams: std::ops::Range<usize>,
) -> io::Result<f64> {
    let begun = Instant::now();
    let first = streams.start;
    let create = move |stream: usize| {
        request("PUT", &setup::path(first + stream), &[setup::TEXT], &setup::MESSAGE)
    };
    runtime.block_on(setup::each_stream(server.address(), streams.len(), create))?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Starts a server that was ended; tells how many seconds it took until it knew the last stream.
fn open(
    runtime: &tokio::runtime::Runtime,
    server: &mut Running,
    streams: usize,
) -> io::Result<f64> {
    let begun = Instant::now();
    server.start_again()?;
    runtime.block_on(async {
        let mut connection = Connection::open(server.address()).await?;
        let read = request("GET", &format!("{}?offset=now", setup::path(streams - 1)), &[], b"");
        connection.exchange(&read).await
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

impl Step {
    fn now(
        what: &'static str,
        server: &Running,
        seconds: Option<f64>,
        appends: Option<Sample>,
    ) -> Self {
        eprintln!("{what}");
        let pid = server.pid();
        Self {
            what,
            seconds,
            appends,
            rss_mib: process::resident_mib(pid),
            open_files: process::open_files(pid),
            disk_mib: bytes_below(&server.data()) as f64 / f64::from(1 << 20),
        }
    }
}
