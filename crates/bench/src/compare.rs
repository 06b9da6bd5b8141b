//! The comparison: every scenario, in rounds, in which the targets take turns.
//!
//! Each measurement has its own server process and its own runtime, so that nothing is left over
//! from the one before. Turns are taken forwards and backwards, so that a machine that becomes slower
//! or faster meanwhile does so for all.

use std::io;
use std::time::Duration;

use crate::cli::Compare;
use crate::load::{Sample, Window};
use crate::pinning::Pinning;
use crate::process::Machine;
use crate::report::{self, Comparison, Measured};
use crate::scenario::{Scenario, Settings};
use crate::target::{self, Target};

/// How many files a run may need: a thousand subscribers, with room.
const OPEN_FILES: u64 = 16_384;

/// Runs the comparison and prints it.
pub(crate) fn run(options: &Compare) -> io::Result<()> {
    // Children inherit the limit.
    rlimit::increase_nofile_limit(OPEN_FILES)?;
    let targets = target::all(options)?;
    let pinning = Pinning::new(options);
    pinning.pin_self()?;
    let settings = Settings {
        window: Window {
            warm_up: Duration::from_secs_f64(options.warm_up),
            measured: Duration::from_secs_f64(options.seconds),
        },
        replay_bytes: options.replay_mib << 20,
    };
    let mut comparisons = Vec::new();
    for scenario in options.scenarios() {
        let comparison = compare(scenario, &targets, options.rounds, &settings, &pinning)?;
        report::table::print(&comparison);
        comparisons.push(comparison);
    }
    report::table::print_note(&pinning);
    if let Some(file) = &options.json {
        report::json::write(file, &Machine::read(), options.rounds, &settings, &comparisons)?;
    }
    Ok(())
}

fn compare(
    scenario: &'static Scenario,
    targets: &[Target],
    rounds: u32,
    settings: &Settings,
    pinning: &Pinning,
) -> io::Result<Comparison> {
    let mut measured: Vec<Measured> = targets
        .iter()
        .filter(|target| target.speaks_the_protocol || !scenario.needs_the_protocol())
        .map(|target| Measured { target: target.name.clone(), samples: Vec::new() })
        .collect();
    for round in 0..rounds {
        let mut turns: Vec<usize> = (0..measured.len()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for turn in turns {
            let name = &measured[turn].target;
            let Some(target) = targets.iter().find(|target| target.name == *name) else { continue };
            let sample = measure(scenario, target, settings, pinning)?;
            let (value, unit) = (sample.value, scenario.unit);
            eprintln!("{} round {}/{rounds}: {name} {value:.0} {unit}", scenario.name, round + 1);
            measured[turn].samples.push(sample);
        }
    }
    Ok(Comparison { scenario, measured })
}

fn measure(
    scenario: &Scenario,
    target: &Target,
    settings: &Settings,
    pinning: &Pinning,
) -> io::Result<Sample> {
    let running = target.start(pinning)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(scenario.run(&running, settings)).map_err(|error| {
        let (scenario, target, log) = (scenario.name, &target.name, running.log());
        io::Error::new(error.kind(), format!("{scenario}, {target}: {error}\n{log}"))
    })
}
