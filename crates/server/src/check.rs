//! `streamkeeper check`: prints what is wrong with a log, and what was done about it.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use streamkeeper_storage_log::{CheckReport, OpenError, Repair, Repaired};

use crate::cli::Check;

/// Nothing is known of the log.
const COULD_NOT_LOOK: u8 = 2;

/// Checks, and tells by the exit status what came of it.
pub(crate) fn run(args: &Check) -> ExitCode {
    let repair = match (args.repair, args.truncate_damaged, args.drop_damaged) {
        (false, ..) => Repair::Nothing,
        (true, true, _) => Repair::Truncate,
        (true, false, true) => Repair::Drop,
        (true, false, false) => Repair::Mark,
    };
    let bar = bar();
    let checked = streamkeeper_storage_log::check(&args.dir, repair, &mut |done, total| {
        show(&bar, done, total);
    });
    bar.finish_and_clear();
    let report = match checked {
        Ok(report) => report,
        Err(error) => {
            eprintln!("streamkeeper: {}", refused(&args.dir, &error));
            return ExitCode::from(COULD_NOT_LOOK);
        }
    };
    match print(&mut io::stdout().lock(), &args.dir, &report) {
        Ok(()) if report.is_clean() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("streamkeeper: cannot write the report: {error}");
            ExitCode::from(COULD_NOT_LOOK)
        }
    }
}

/// Why a log was not opened, for people.
pub(crate) fn refused(dir: &Path, error: &OpenError) -> String {
    let dir = dir.display();
    match error {
        OpenError::InUse => format!("{dir} is in use: stop the server (or tool) that has it open"),
        error => format!("{dir}: {error}"),
    }
}

/// A progress bar on standard error, if somebody looks at it.
pub(crate) fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{bar:40} {bytes} of {total_bytes} ({bytes_per_sec}, {eta} left)",
    );
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Moves a progress bar.
pub(crate) fn show(bar: &ProgressBar, done: u64, total: u64) {
    bar.set_length(total);
    bar.set_position(done);
}

fn print(out: &mut impl Write, dir: &Path, report: &CheckReport) -> io::Result<()> {
    let CheckReport { streams, messages, journal_segments, filed_segments, .. } = report;
    let size = |bytes| ByteSize::b(bytes).to_string();
    writeln!(out, "{}:", dir.display())?;
    writeln!(
        out,
        "  {streams} streams, {messages} messages of {} together",
        size(report.message_bytes)
    )?;
    writeln!(
        out,
        "  {journal_segments} journal segments, {filed_segments} filed segments, {} in all, {} of it \
         garbage",
        size(report.file_bytes),
        size(report.garbage_bytes)
    )?;
    for note in &report.notes {
        writeln!(out, "  note: {note}")?;
    }
    for finding in &report.findings {
        writeln!(out, "  DAMAGE: {finding}")?;
    }
    match (report.findings.len(), &report.repaired) {
        (0, _) => writeln!(out, "clean"),
        (1, None) => writeln!(out, "1 finding"),
        (count, None) => writeln!(out, "{count} findings"),
        (_, Some(repaired)) => print_repaired(out, repaired),
    }
}

fn print_repaired(out: &mut impl Write, repaired: &Repaired) -> io::Result<()> {
    writeln!(out, "repaired:")?;
    for file in &repaired.quarantined {
        writeln!(out, "  kept as it was: {}", file.display())?;
    }
    for file in &repaired.written {
        writeln!(out, "  written: {}", file.display())?;
    }
    for stream in &repaired.marked {
        writeln!(out, "  not served until you choose: stream {stream}")?;
    }
    for stream in &repaired.truncated {
        writeln!(out, "  truncated: stream {stream}")?;
    }
    for stream in &repaired.dropped {
        writeln!(out, "  dropped: stream {stream}")?;
    }
    match repaired.marked.is_empty() {
        true => Ok(()),
        false => {
            writeln!(out, "choose with --repair --truncate-damaged or --repair --drop-damaged")
        }
    }
}
