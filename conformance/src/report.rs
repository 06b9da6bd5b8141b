//! What vitest reports: every test by its full name, and how it ended.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

/// The results of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every test, in the order it ran.
    pub tests: Vec<TestResult>,
}

/// How one test ended.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// The names of its groups and its own, joined by spaces.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a test can end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed, with this message.
    Failed(String),
    /// It did not run.
    Skipped,
}

impl Report {
    /// Reads vitest's JSON report.
    ///
    /// # Errors
    ///
    /// The file is not there or is not a report.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(path)?)
    }

    fn parse(json: &str) -> io::Result<Self> {
        let run: json::Run = serde_json::from_str(json)?;
        let tests = run.files.into_iter().flat_map(json::File::into_results).collect();
        Ok(Self { tests })
    }

    /// The tests that failed, with their messages.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tests.iter().filter_map(|test| match &test.outcome {
            Outcome::Failed(message) => Some((test.name.as_str(), message.as_str())),
            _ => None,
        })
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.tests.iter().filter(|test| is(&test.outcome)).count()
    }
}

/// One line of counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.count(|outcome| *outcome == Outcome::Passed);
        let failed = self.failed().count();
        let skipped = self.count(|outcome| *outcome == Outcome::Skipped);
        let total = self.tests.len();
        write!(f, "{total:>4} tests {passed:>4} passed {failed:>3} failed {skipped:>3} skipped")
    }
}

/// The shape of vitest's JSON report, as much of it as we read.
mod json {
    use super::{Deserialize, Outcome, TestResult};

    #[derive(Deserialize)]
    pub(super) struct Run {
        #[serde(rename = "testResults")]
        pub(super) files: Vec<File>,
    }

    #[derive(Deserialize)]
    pub(super) struct File {
        name: String,
        status: String,
        #[serde(default)]
        message: String,
        #[serde(rename = "assertionResults")]
        tests: Vec<Test>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Test {
        full_name: String,
        status: String,
        #[serde(default)]
        failure_messages: Option<Vec<String>>,
    }

    impl File {
        pub(super) fn into_results(self) -> Vec<TestResult> {
            let mut results: Vec<_> = self.tests.into_iter().map(Test::into_result).collect();
            let test_failed = results.iter().any(|test| matches!(test.outcome, Outcome::Failed(_)));
            // A file that could not even be loaded has no test to blame.
            if self.status == "failed" && !test_failed {
                results
                    .push(TestResult { name: self.name, outcome: Outcome::Failed(self.message) });
            }
            results
        }
    }

    impl Test {
        fn into_result(self) -> TestResult {
            let outcome = match self.status.as_str() {
                "passed" => Outcome::Passed,
                "failed" => Outcome::Failed(self.failure_messages.unwrap_or_default().join("\n")),
                _ => Outcome::Skipped,
            };
            TestResult { name: self.full_name, outcome }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_and_messages_are_read() {
        let report = Report::parse(
            r#"{"testResults": [
                {"name": "a.mjs", "status": "failed", "message": "", "assertionResults": [
                    {"fullName": "A works", "status": "passed", "failureMessages": []},
                    {"fullName": "A fails", "status": "failed", "failureMessages": ["1 is not 2"]},
                    {"fullName": "A waits", "status": "pending"}
                ]},
                {"name": "b.mjs", "status": "failed", "message": "cannot load", "assertionResults": []}
            ]}"#,
        )
        .unwrap();
        let failed: Vec<_> = report.failed().collect();
        assert_eq!(failed, [("A fails", "1 is not 2"), ("b.mjs", "cannot load")]);
        assert_eq!(report.to_string(), "   4 tests    1 passed   2 failed   1 skipped");
    }
}
