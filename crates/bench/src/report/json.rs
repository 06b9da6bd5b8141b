//! The JSON file.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::{Comparison, Measured};
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
        "settings": {
            "rounds": rounds,
            "seconds": settings.window.measured.as_secs_f64(),
            "warm_up_seconds": settings.window.warm_up.as_secs_f64(),
            "replay_bytes": settings.replay_bytes,
        },
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
        "reference": comparison.reference(),
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn target(comparison: &Comparison, measured: &Measured) -> Value {
    json!({
        "name": measured.target,
        "value": measured.summary(|sample| sample.value),
        "ratio": comparison.ratio(measured, comparison.reference(), |sample| sample.value),
        "cpu_ratio": comparison.ratio(measured, comparison.reference(), Sample::cpu_micros),
        "samples": measured.samples,
    })
}
