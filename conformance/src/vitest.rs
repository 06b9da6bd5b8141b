//! Runs JavaScript tests of this package against a server URL and returns their report.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::report::Report;

/// Runs the test files whose path contains `filter`; the JSON report is left at `report`.
///
/// Failing tests are not an error here: they are in the report.
///
/// # Errors
///
/// The packages cannot be installed, vitest does not run, or it fails for another reason than a
/// failing test; the error holds its output.
pub fn run(filter: &str, url: &str, report: &Path) -> io::Result<Report> {
    crate::node::install()?;
    remove(report)?;
    let output = Command::new("node")
        .args(["node_modules/vitest/vitest.mjs", "run", filter])
        .current_dir(crate::package_dir())
        .env("CONFORMANCE_BASE_URL", url)
        .env("CONFORMANCE_REPORT", report)
        // Messages go into our own output: no colours.
        .env("NO_COLOR", "1")
        .env_remove("FORCE_COLOR")
        .stdin(Stdio::null())
        .output()?;
    let said = || {
        let (out, err) = (&output.stdout, &output.stderr);
        format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
    };
    let report = Report::read(report).map_err(|error| {
        io::Error::other(format!("no report ({error}); vitest said:\n{}", said()))
    })?;
    // An error outside any test, a rejection nobody awaited, shows only in the exit status.
    if !output.status.success() && report.failed().next().is_none() {
        let status = output.status;
        return Err(io::Error::other(format!("vitest: {status}, no test failed:\n{}", said())));
    }
    Ok(report)
}

/// Removes an earlier run's report, so that it is never taken for this one's.
fn remove(report: &Path) -> io::Result<()> {
    match fs::remove_file(report) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
