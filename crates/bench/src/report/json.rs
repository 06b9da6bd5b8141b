//! The JSON file.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Comparison, Measured, Unmeasured};
use crate::load::Sample;
use crate::process::Machine;
use crate::scenario::Settings;

/// Writes everything that was measured.
pub(crate) fn write(
    file: &Path,
    machine: &Machine,
    rounds: u32,
    settings: &Settings,
    comparisons: &[Comparison],
) -> io::Result<()> {
    let report = json!({
        "machine": machine,
        "rounds": rounds,
        "settings": settings,
        "scenarios": comparisons.iter().map(scenario).collect::<Vec<_>>(),
    });
    fs::write(file, serde_json::to_vec_pretty(&report)?)
}

fn scenario(comparison: &Comparison) -> Value {
    let targets = comparison.measured.iter().map(|measured| target(comparison, measured));
    json!({
        "name": comparison.scenario.name,
        "about": comparison.scenario.about,
        "unit": comparison.scenario.unit.to_string(),
        "less_is_better": comparison.scenario.unit.less_is_better(),
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn target(comparison: &Comparison, measured: &Measured) -> Value {
    let ratios = |figure: fn(&Sample) -> f64| {
        let ratio =
            |to: &'static str| (to.to_owned(), json!(comparison.ratio(measured, to, figure)));
        comparison.references().into_iter().map(ratio).collect::<Map<_, _>>()
    };
    let figures =
        measured.figures().into_iter().map(|(name, summary)| (name.to_owned(), json!(summary)));
    let (unsupported, failed) = match &measured.unmeasured {
        Some(Unmeasured::Unsupported(what)) => (Some(what), None),
        Some(Unmeasured::Failed(why)) => (None, Some(why)),
        None => (None, None),
    };
    json!({
        "name": measured.target,
        "value": measured.summary(|sample| sample.value),
        "ratios": ratios(|sample| sample.value),
        "cpu_ratios": ratios(Sample::cpu_micros),
        "figures": figures.collect::<Map<_, _>>(),
        "samples": measured.samples,
        "unsupported": unsupported,
        "failed": failed,
    })
}
