//! The table.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use super::{Comparison, Measured};
use crate::load::Sample;
use crate::pinning::Pinning;

/// Prints one scenario.
pub(crate) fn print(comparison: &Comparison) {
    let scenario = comparison.scenario;
    println!("\n{}: {}; {}", scenario.name, scenario.about, scenario.unit);
    println!(
        "  {:<18}{:>10}{:>10}{:>10}{:>15}{:>9}{:>9}{:>11}{:>7}{:>10}{:>8}{:>9}",
        "target",
        "median",
        "min",
        "max",
        format!("/{}", comparison.reference()),
        "p50 µs",
        "p99 µs",
        "cpu µs/op",
        "ratio",
        "server %",
        "load %",
        "RSS MiB",
    );
    for measured in &comparison.measured {
        println!("{}", row(comparison, measured));
    }
}

/// Prints how to read the tables.
pub(crate) fn print_note(pinning: &Pinning) {
    let place = match pinning {
        Pinning::Cores { server, load } => {
            format!("server on core {server}, load generator on core {load}")
        }
        Pinning::None => "NOT pinned: server and load generator share cores".to_owned(),
    };
    println!(
        "\n\
         Closed loop: a connection sends when it has its answer; latencies are those under full load.\n\
         Medians over interleaved rounds; a ratio is the median of the rounds' ratios; {place}.\n\
         `cpu µs/op` is the server's processor time (replay: for a MB), with its own ratio. On a shared\n\
         machine it says most: a server below 95 % of its core was not what limited the rate.\n\
         `axum` and `raw` answer 204 to everything, reads too."
    );
}

fn row(comparison: &Comparison, measured: &Measured) -> String {
    let median = |figure: fn(&Sample) -> f64| {
        measured.summary(figure).map_or(f64::NAN, |summary| summary.median)
    };
    let Some(value) = measured.summary(|sample| sample.value) else {
        return format!("  {:<18}{:>10}", measured.target, "-");
    };
    let ratio = |figure: fn(&Sample) -> f64| {
        let ratio = comparison.ratio(measured, comparison.reference(), figure);
        ratio.map_or("-".to_owned(), |ratio| format!("{:.2}", ratio.median))
    };
    format!(
        "  {:<18}{:>10}{:>10}{:>10}{:>15}{:>9.0}{:>9.0}{:>11.2}{:>7}{:>10.0}{:>8.0}{:>9.0}",
        measured.target,
        grouped(value.median),
        grouped(value.min),
        grouped(value.max),
        ratio(|sample| sample.value),
        median(|sample| sample.p50_us),
        median(|sample| sample.p99_us),
        median(Sample::cpu_micros),
        ratio(Sample::cpu_micros),
        median(|sample| sample.server_cpu_seconds * 100.0 / sample.seconds),
        median(|sample| sample.load_cpu_seconds * 100.0 / sample.seconds),
        median(|sample| sample.server_rss_mib),
    )
}

/// A number without a fraction, with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_thousands() {
        let cases = [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1234567.0, "1,234,567")];
        for (value, expected) in cases {
            assert_eq!(grouped(value), expected);
        }
    }
}
