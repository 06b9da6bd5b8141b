//! What a comparison says: as a table for people, as JSON for programs.

pub(crate) mod columns;
pub(crate) mod json;
pub(crate) mod table;

use std::io;

use crate::load::Sample;
use crate::scenario::Scenario;
use crate::stats::Summary;
use crate::target::REFERENCES;

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
    /// Why there are not as many samples as rounds.
    pub(crate) unmeasured: Option<Unmeasured>,
}

/// Why a target has no figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unmeasured {
    /// It does not know what is measured.
    Unsupported(String),
    /// It should, and did not.
    Failed(String),
}

impl From<&io::Error> for Unmeasured {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Unsupported => Self::Unsupported(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Measured {
    /// Nothing yet.
    pub(crate) fn new(target: String) -> Self {
        Self { target, samples: Vec::new(), unmeasured: None }
    }

    fn summary(&self, figure: impl Fn(&Sample) -> f64) -> Option<Summary> {
        Summary::of(self.samples.iter().map(figure))
    }

    /// The further figures, each over all rounds.
    fn figures(&self) -> Vec<(&'static str, Summary)> {
        let first = self.samples.first().map_or(&[][..], |sample| &sample.figures);
        let summary = |(index, name): (usize, &'static str)| {
            let values =
                self.samples.iter().filter_map(|sample: &Sample| sample.figures.get(index));
            Summary::of(values.map(|figure| figure.value)).map(|summary| (name, summary))
        };
        first.iter().map(|figure| figure.name).enumerate().filter_map(summary).collect()
    }
}

impl Comparison {
    /// How many targets failed.
    pub(crate) fn failures(&self) -> usize {
        let failed =
            |measured: &&Measured| matches!(measured.unmeasured, Some(Unmeasured::Failed(_)));
        self.measured.iter().filter(failed).count()
    }

    /// How a target's figure relates to another's, round by round.
    fn ratio(&self, of: &Measured, to: &str, figure: impl Fn(&Sample) -> f64) -> Option<Summary> {
        let to = self.measured.iter().find(|measured| measured.target == to)?;
        Summary::of_ratios(of.samples.iter().map(&figure), to.samples.iter().map(&figure))
    }

    /// What ratios are to: those of the references that were measured.
    fn references(&self) -> Vec<&'static str> {
        let there =
            |name: &&str| self.measured.iter().any(|m| m.target == **name && !m.samples.is_empty());
        REFERENCES.iter().copied().filter(there).collect()
    }
}
