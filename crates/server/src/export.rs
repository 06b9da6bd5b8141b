//! `streamkeeper export`: where the lines go, and what is told of them.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use streamkeeper_storage_log::{ExportError, ExportReport};

use crate::check;
use crate::cli::Export;

/// Exports to a file, which is there whole or not at all, or to standard output.
pub(crate) fn run(args: &Export) -> Result<(), Box<dyn Error>> {
    let report = match args.output == Path::new("-") {
        true => write(args, &mut BufWriter::new(io::stdout().lock()))?,
        false => write_file(args)?,
    };
    let ExportReport { streams, bytes, ancestors } = report;
    // Standard output may be the export itself.
    let mut out = io::stderr().lock();
    writeln!(out, "exported {streams} streams, {} of messages", ByteSize::b(bytes))?;
    for ancestor in ancestors {
        writeln!(out, "included, because forks inherit from it: `{ancestor}`")?;
    }
    Ok(())
}

fn write_file(args: &Export) -> Result<ExportReport, Box<dyn Error>> {
    let mut partial = args.output.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let named = |error: io::Error| format!("{}: {error}", partial.display());
    let mut file = BufWriter::new(File::create(&partial).map_err(named)?);
    let written = write(args, &mut file).and_then(|report| {
        let file = file.into_inner()?;
        file.sync_all()?;
        fs::rename(&partial, &args.output)?;
        Ok(report)
    });
    if written.is_err() {
        fs::remove_file(&partial)?;
    }
    written
}

fn write(args: &Export, output: &mut impl Write) -> Result<ExportReport, Box<dyn Error>> {
    let bar = check::bar();
    let mut show = |done, total| check::show(&bar, done, total);
    let done = streamkeeper_storage_log::export(&args.dir, &args.prefix, output, &mut show);
    bar.finish_and_clear();
    done.map_err(|error| match error {
        ExportError::Open(error) => check::refused(&args.dir, &error).into(),
        error => format!("{}: {error}", args.dir.display()).into(),
    })
}
