//! What a run must look like: how many tests there are, and which of them are known to fail.

use std::collections::HashSet;
use std::fs;
use std::io;

use serde::Deserialize;

use crate::report::{Outcome, Report};

/// The expected outcome of the official suite.
#[derive(Clone, Debug, Deserialize)]
pub struct Expected {
    /// How many tests the pinned suite has; a suite that quietly shrinks proves less.
    pub total: usize,
    /// The tests that fail, and must: one that passes has to leave this list.
    pub gaps: Vec<Gap>,
}

/// One test that is known to fail.
#[derive(Clone, Debug, Deserialize)]
pub struct Gap {
    /// The full name of the test, as the report has it.
    pub test: String,
    /// Why it fails, for the reader of the list.
    pub reason: String,
}

impl Expected {
    /// Reads `known-gaps.json`.
    ///
    /// # Errors
    ///
    /// The file is not there or has another shape.
    pub fn read() -> io::Result<Self> {
        let json = fs::read_to_string(crate::package_dir().join("known-gaps.json"))?;
        Ok(serde_json::from_str(&json)?)
    }

    /// Everything about `report` that is not as expected, one text each; empty means a good run.
    pub fn judge(&self, report: &Report) -> Vec<String> {
        let gaps: HashSet<_> = self.gaps.iter().map(|gap| gap.test.as_str()).collect();
        let names: HashSet<_> = report.tests.iter().map(|test| test.name.as_str()).collect();
        let mut problems = complaints(report, |name| gaps.contains(name));
        for unknown in gaps.difference(&names) {
            problems.push(format!("STALE GAP {unknown}: the suite has no such test"));
        }
        if report.tests.len() != self.total {
            let found = report.tests.len();
            problems.push(format!("the suite has {} tests, the report {found}", self.total));
        }
        problems
    }
}

/// As [`Expected::judge`] for tests of our own: there are some, and each one passes.
pub fn all_pass(report: &Report) -> Vec<String> {
    let mut problems = complaints(report, |_| false);
    if report.tests.is_empty() {
        problems.push("no test ran".to_owned());
    }
    problems
}

/// What each test has to answer for, given which ones are to fail.
fn complaints(report: &Report, is_gap: impl Fn(&str) -> bool) -> Vec<String> {
    let complaint = |name: &str, outcome: &Outcome| match (outcome, is_gap(name)) {
        (Outcome::Passed, false) | (Outcome::Failed(_), true) => None,
        (Outcome::Passed, true) => {
            Some(format!("STALE GAP {name}: it passes, take it off the list"))
        }
        (Outcome::Failed(message), false) => Some(format!("FAILED {name}\n{message}")),
        (Outcome::Skipped, _) => Some(format!("SKIPPED {name}: every test has to run")),
    };
    report.tests.iter().filter_map(|test| complaint(&test.name, &test.outcome)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TestResult;

    fn report(outcomes: &[(&str, Outcome)]) -> Report {
        let result = |(name, outcome): &(&str, Outcome)| TestResult {
            name: (*name).to_owned(),
            outcome: outcome.clone(),
        };
        Report { tests: outcomes.iter().map(result).collect() }
    }

    fn failed() -> Outcome {
        Outcome::Failed("1 is not 2".to_owned())
    }

    fn expected() -> Expected {
        let gap = Gap { test: "gap".to_owned(), reason: "not built yet".to_owned() };
        Expected { total: 2, gaps: vec![gap] }
    }

    #[test]
    fn a_known_gap_that_fails_is_as_expected() {
        let report = report(&[("works", Outcome::Passed), ("gap", failed())]);
        assert_eq!(expected().judge(&report), [""; 0]);
        assert_eq!(all_pass(&report), ["FAILED gap\n1 is not 2"]);
    }

    #[test]
    fn every_deviation_is_named() {
        let one = |outcomes: &[_]| expected().judge(&report(outcomes)).join("; ");
        let regressed = one(&[("works", failed()), ("gap", failed())]);
        assert_eq!(regressed, "FAILED works\n1 is not 2");
        let closed = one(&[("works", Outcome::Passed), ("gap", Outcome::Passed)]);
        assert_eq!(closed, "STALE GAP gap: it passes, take it off the list");
        let skipped = one(&[("works", Outcome::Skipped), ("gap", failed())]);
        assert_eq!(skipped, "SKIPPED works: every test has to run");
        let renamed = one(&[("works", Outcome::Passed), ("other", Outcome::Passed)]);
        assert_eq!(renamed, "STALE GAP gap: the suite has no such test");
        let shrunk = one(&[("gap", failed())]);
        assert_eq!(shrunk, "the suite has 2 tests, the report 1");
    }

    #[test]
    fn no_test_is_no_proof() {
        assert_eq!(all_pass(&Report::default()), ["no test ran"]);
    }

    #[test]
    fn the_list_in_the_repository_is_well_formed() {
        let expected = Expected::read().unwrap();
        assert!(expected.gaps.iter().all(|gap| !gap.reason.is_empty()));
        assert!(expected.gaps.len() < expected.total);
    }
}
