//! The storm in simulated time: clients over HTTP, a network that delays, holds and cuts, a server that
//! is killed and starts again upon what was durable. A seed decides everything, so that the same seed is
//! the same storm: every seed is run twice, and every answer must come at the same time and be the same.

mod brief;
mod chaos;
mod client;
mod lasting;
mod server;
mod sim;
mod verdict;

use std::time::Duration;

use self::sim::run;
use crate::kit::prepare;

/// How long a storm lasts, in simulated time.
const STORM: Duration = Duration::from_secs(12);

/// How many seeds are run: `STREAMKEEPER_SIM_SEEDS`.
const SEEDS: u64 = 6;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn the_same_seed_is_the_same_storm() {
    prepare();
    let seeds = match variable("STREAMKEEPER_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + variable("STREAMKEEPER_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        // Printed when it fails.
        eprintln!("STREAMKEEPER_SIM_SEED={seed}");
        let first = run(seed);
        let second = run(seed);
        for (one, other) in first.lines.iter().zip(&second.lines) {
            assert_eq!(one, other, "seed {seed}: the first difference");
        }
        assert_eq!(first.lines.len(), second.lines.len(), "seed {seed}");
        eprintln!("{}", first.figures());
    }
}
