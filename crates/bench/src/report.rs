//! What a comparison says: as a table for people, as JSON for programs.

pub(crate) mod json;
pub(crate) mod table;

use crate::load::Sample;
use crate::scenario::Scenario;
use crate::stats::Summary;
use crate::target::CEILING;

/// One scenario, all its targets.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) scenario: &'static Scenario,
    pub(crate) measured: Vec<Measured>,
}

/// One target, all its rounds in their order.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) target: String,
    pub(crate) samples: Vec<Sample>,
}

impl Measured {
    fn summary(&self, figure: impl Fn(&Sample) -> f64) -> Option<Summary> {
        Summary::of(self.samples.iter().map(figure))
    }
}

impl Comparison {
    /// How a target's figure relates to another's, round by round.
    fn ratio(&self, of: &Measured, to: &str, figure: impl Fn(&Sample) -> f64) -> Option<Summary> {
        let to = self.measured.iter().find(|measured| measured.target == to)?;
        Summary::of_ratios(of.samples.iter().map(&figure), to.samples.iter().map(&figure))
    }

    /// What ratios are to: the ceiling, or us where there is none.
    fn reference(&self) -> &'static str {
        match self.scenario.needs_the_protocol() {
            true => "streamkeeper",
            false => CEILING,
        }
    }
}
