//! The table.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use super::columns::{lines, number};
use super::{Comparison, Measured, Unmeasured};
use crate::load::Sample;
use crate::pinning::Pinning;
use crate::scenario::ALL;
use crate::stats::Summary;

/// Prints the names of all scenarios.
pub(crate) fn list() {
    for scenario in ALL {
        println!("{:<16} {} ({})", scenario.name, scenario.about, scenario.unit);
    }
}

/// Prints one scenario.
pub(crate) fn print(comparison: &Comparison) {
    let scenario = comparison.scenario;
    let better = if scenario.unit.less_is_better() { "; less is better" } else { "" };
    println!("\n{}: {}{better}\n", scenario.name, scenario.about);
    let references = comparison.references();
    let mut head = vec!["target".to_owned(), scenario.unit.to_string(), "min - max".to_owned()];
    head.extend(references.iter().map(|reference| format!("/ {reference}")));
    let columns =
        ["p50 µs", "p99 µs", "cpu µs/op", "cpu ratio", "server %", "load %", "RSS MiB", "peak"];
    head.extend(columns.map(str::to_owned));
    let width = head.len();
    let mut rows = vec![head];
    for measured in &comparison.measured {
        if !measured.samples.is_empty() {
            rows.push(row(comparison, &references, measured));
        }
        for (name, summary) in measured.figures() {
            let mut row = vec![format!("- {name}"), number(summary.median), spread(&summary)];
            row.resize(width, String::new());
            rows.push(row);
        }
    }
    for line in lines(&rows) {
        println!("{line}");
    }
    for measured in &comparison.measured {
        match &measured.unmeasured {
            Some(Unmeasured::Unsupported(what)) => {
                println!("\n{}: not supported: {what}", measured.target);
            }
            Some(Unmeasured::Failed(why)) => {
                // The server's own last words are in the JSON.
                let why = why.lines().next().unwrap_or_default();
                println!("\n{}: FAILED: {why}", measured.target);
            }
            None => {}
        }
    }
}

/// Prints how to read the tables.
pub(crate) fn print_note(pinning: &Pinning, quick: bool) {
    let place = match pinning {
        Pinning::Cores { server, load } => {
            format!("server on core {server}, load generator on core {load}")
        }
        Pinning::None => "NOT pinned: server and load generator share cores".to_owned(),
    };
    println!(
        "\n\
         Medians over interleaved rounds; a ratio is the median of the rounds' ratios; {place}.\n\
         `cpu µs/op` is the server's processor time (where bytes are read: for a MB); `cpu ratio` is to the first \
         reference. On a\n\
         shared machine it says most: a server below 95 % of its cores was not what limited the rate. A * marks where\n\
         the load generator did.\n\
         `axum` and `raw` answer 204 to everything, reads too."
    );
    if quick {
        println!("\nA QUICK RUN: shows that everything runs; its figures mean nothing.");
    }
}

fn row(comparison: &Comparison, references: &[&str], measured: &Measured) -> Vec<String> {
    let median = |figure: fn(&Sample) -> f64| {
        number(measured.summary(figure).map_or(f64::NAN, |summary| summary.median))
    };
    let ratio = |to: Option<&&str>, figure: fn(&Sample) -> f64| {
        let ratio = to.and_then(|to| comparison.ratio(measured, to, figure));
        number(ratio.map_or(f64::NAN, |ratio| ratio.median))
    };
    let value = |sample: &Sample| sample.value;
    // Where no single operation was timed there is no latency either.
    let latency = |figure: fn(&Sample) -> f64| {
        let timed = measured.samples.iter().any(|sample| sample.operations > 0);
        if timed { median(figure) } else { "-".to_owned() }
    };
    // With several cores for the load this never shows; `load %` does.
    let limited = measured.samples.iter().any(Sample::load_was_the_limit);
    let mark = if limited { "*" } else { "" };
    let mut row = vec![measured.target.clone(), format!("{mark}{}", median(value))];
    row.push(measured.summary(value).as_ref().map_or_else(String::new, spread));
    row.extend(references.iter().map(|reference| ratio(Some(reference), value)));
    row.extend([
        latency(|sample| sample.p50_us),
        latency(|sample| sample.p99_us),
        median(Sample::cpu_micros),
        ratio(references.first(), Sample::cpu_micros),
        median(|sample| sample.server_cpu_seconds * 100.0 / sample.seconds),
        median(|sample| sample.load_cpu_seconds * 100.0 / sample.seconds),
        median(|sample| sample.server_rss_mib),
        median(|sample| sample.server_peak_mib),
    ]);
    row
}

fn spread(summary: &Summary) -> String {
    format!("{} - {}", number(summary.min), number(summary.max))
}
