//! The comparison: every scenario, in rounds, in which the targets take turns.
//!
//! Each measurement has its own server process and its own runtime, so that nothing is left over
//! from the one before. Turns are taken forwards and backwards, so that a machine that becomes slower
//! or faster meanwhile does so for all.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use crate::cli::Compare;
use crate::load::{Sample, Window};
use crate::pinning::Pinning;
use crate::process::{self, Machine};
use crate::report::{self, Comparison, Measured, Unmeasured};
use crate::scenario::{Scenario, Settings};
use crate::target::{self, Target};

/// Runs the comparison and prints it. Fails in the end if any measurement did.
pub(crate) fn run(options: &Compare) -> io::Result<()> {
    process::raise_open_files()?;
    let targets = target::all(&options.servers)?;
    let pinning = Pinning::new(&options.servers);
    pinning.pin_self()?;
    let settings = settings(options);
    let mut comparisons = Vec::new();
    for scenario in options.scenarios() {
        let comparison = compare(scenario, &targets, options.rounds, &settings, &pinning);
        report::table::print(&comparison);
        comparisons.push(comparison);
    }
    report::table::print_note(&pinning, options.quick);
    if let Some(file) = &options.json {
        report::json::write(file, &Machine::read(), options.rounds, &settings, &comparisons)?;
    }
    match comparisons.iter().map(Comparison::failures).sum::<usize>() {
        0 => Ok(()),
        failures => Err(io::Error::other(format!("{failures} measurements failed"))),
    }
}

fn settings(options: &Compare) -> Settings {
    Settings {
        window: Window {
            warm_up: Duration::from_secs_f64(options.warm_up),
            measured: Duration::from_secs_f64(options.seconds),
        },
        replay_bytes: options.replay_mib << 20,
        history_bytes: options.history_mib << 20,
        memory_streams: options.memory_streams,
        dormant_wait: Duration::from_secs(options.dormant_wait),
        rate: options.rate,
        subscriptions: options.subscriptions,
        patience: Duration::from_secs(options.patience),
    }
}

fn compare(
    scenario: &'static Scenario,
    targets: &[Target],
    rounds: u32,
    settings: &Settings,
    pinning: &Pinning,
) -> Comparison {
    let taking_part = || {
        targets.iter().filter(|target| target.speaks_the_protocol || !scenario.needs_the_protocol())
    };
    let mut measured: Vec<Measured> =
        taking_part().map(|target| Measured::new(target.name.clone())).collect();
    for round in 0..rounds {
        let mut turns: Vec<_> = taking_part().zip(&mut measured).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (target, measured) in turns {
            // Who failed once is not asked again: what is missing must not make the others wait.
            if measured.unmeasured.is_some() {
                continue;
            }
            let begun = format!("{} round {}/{rounds}: {}", scenario.name, round + 1, target.name);
            match measure(scenario, target, settings, pinning) {
                Ok(sample) => {
                    eprintln!("{begun} {:.1} {}", sample.value, scenario.unit);
                    measured.samples.push(sample);
                }
                Err(error) => {
                    eprintln!("{begun}: {error}");
                    measured.unmeasured = Some(Unmeasured::from(&error));
                }
            }
        }
    }
    Comparison { scenario, measured }
}

fn measure(
    scenario: &Scenario,
    target: &Target,
    settings: &Settings,
    pinning: &Pinning,
) -> io::Result<Sample> {
    let running = target.start(pinning)?;
    let runtime = pinning.load_runtime()?;
    let outcome = runtime.block_on(async {
        let over = |_| io::Error::new(io::ErrorKind::TimedOut, "it took too long: see --patience");
        timeout(settings.patience, scenario.run(&running, settings)).await.map_err(over)?
    });
    // Threads of the scenario that still read must not hold up the end.
    runtime.shutdown_background();
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => error,
        kind => io::Error::new(kind, format!("{error}\n{}", running.log())),
    })
}
