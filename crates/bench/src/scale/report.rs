//! The steps as a table.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use super::Step;
use crate::load::Sample;
use crate::report::columns::{lines, number};

/// Prints what was done to one server.
pub(super) fn print(target: &str, streams: usize, steps: &[Step], failed: Option<&str>) {
    println!("\n{target}: {} streams\n", number(streams as f64));
    let head = [
        "step",
        "seconds",
        "req/s",
        "p50 µs",
        "p99 µs",
        "cpu µs/op",
        "p50 ratio",
        "cpu ratio",
        "RSS MiB",
        "B/stream",
        "files",
        "disk MiB",
    ];
    let first = steps.first();
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(steps.iter().map(|step| row(step, first, streams)));
    for line in lines(&rows) {
        println!("{line}");
    }
    println!(
        "\nRatios are to the first step. `B/stream`: what RSS grew since then, for each stream."
    );
    if let Some(why) = failed {
        println!("\n{target}: FAILED: {why}");
    }
}

fn row(step: &Step, first: Option<&Step>, streams: usize) -> Vec<String> {
    let load = |figure: fn(&Sample) -> f64| step.appends.as_ref().map(figure);
    let ratio = |figure: fn(&Sample) -> f64| {
        let to = first.and_then(|first| first.appends.as_ref()).map(figure)?;
        load(figure).map(|value| value / to)
    };
    // A server that was ended has none.
    let lives = step.rss_mib > 0.0;
    let grown =
        first.filter(|_| lives).map(|first| (step.rss_mib - first.rss_mib) * f64::from(1 << 20));
    let cells = [
        step.seconds,
        load(Sample::rate),
        load(|sample| sample.p50_us),
        load(|sample| sample.p99_us),
        load(Sample::cpu_micros),
        ratio(|sample| sample.p50_us),
        ratio(Sample::cpu_micros),
        lives.then_some(step.rss_mib),
        grown.map(|bytes| bytes / streams as f64),
        lives.then_some(step.open_files as f64),
        Some(step.disk_mib),
    ];
    let cells = cells.into_iter().map(|cell| cell.map_or_else(String::new, number));
    [step.what.to_owned()].into_iter().chain(cells).collect()
}
