//! Running many seeds, and telling of those that fail.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::stats::Stats;
use super::world::World;

/// How many operations are told of a run that fails.
const TOLD: usize = 40;
/// After how many failures it is enough.
const ENOUGH: usize = 5;

/// Runs a program with as many seeds as the environment asks for, else `count`; panics with those that
/// fail.
pub(super) fn run(what: &str, count: u64, program: fn(&mut World)) -> Stats {
    let first = from_env("STREAMKEEPER_SIM_SEED").unwrap_or(1);
    let count = from_env("STREAMKEEPER_SIM_SEEDS").unwrap_or(count);
    let next = AtomicU64::new(first);
    let total = Mutex::new(Stats::default());
    let failures = Mutex::new(Vec::new());
    let work = || {
        let mut stats = Stats::default();
        while failures.lock().len() < ENOUGH {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - first >= count {
                break;
            }
            match attempt(seed, program, false) {
                Ok(world) => stats += world,
                Err(_) => failures.lock().push(seed),
            }
        }
        *total.lock() += stats;
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let stats = *total.lock();
    // Not by a macro: those are told of only when a test fails.
    let _ = writeln!(std::io::stderr(), "simulation, {what}: {stats}");
    let mut seeds = failures.into_inner();
    seeds.sort_unstable();
    if !seeds.is_empty() {
        let told: Vec<String> =
            seeds.iter().filter_map(|seed| attempt(*seed, program, true).err()).collect();
        panic!("{what}: seeds {seeds:?} fail\n{}", told.join("\n"));
    }
    stats
}

fn attempt(seed: u64, program: fn(&mut World), tell: bool) -> Result<Stats, String> {
    let mut world = World::new(seed);
    world.trace = tell.then(Vec::new);
    observe(&mut world, &format!("STREAMKEEPER_SIM_SEED={seed}"), program)
}

/// Runs a program in a world; if it fails, tells what had happened.
pub(super) fn observe(
    world: &mut World,
    which: &str,
    program: impl FnOnce(&mut World),
) -> Result<Stats, String> {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| program(world))) else {
        return Ok(world.stats);
    };
    let message = panic.downcast_ref::<String>().cloned();
    let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let mut text = format!("--- {which}: {}\n", message.unwrap_or_default());
    let trace = world.trace.take().unwrap_or_default();
    for operation in trace.iter().skip(trace.len().saturating_sub(TOLD)) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{operation}");
    }
    Err(text + &world.env.dump())
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
