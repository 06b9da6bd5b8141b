//! `streamkeeper import`: where the lines come from, and what is told of them.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use bytesize::ByteSize;
use streamkeeper_storage_log::{ImportError, ImportReport};

use crate::check;
use crate::cli::Import;

/// Imports from a file or from standard input.
pub(crate) fn run(args: &Import) -> Result<(), Box<dyn Error>> {
    let ImportReport { streams, bytes, replaced } = match args.file == Path::new("-") {
        true => read(args, &mut io::stdin().lock())?,
        false => {
            let file = File::open(&args.file);
            let file = file.map_err(|error| format!("{}: {error}", args.file.display()))?;
            read(args, &mut BufReader::new(file))?
        }
    };
    let (dir, mut out) = (args.dir.display(), io::stdout().lock());
    writeln!(out, "imported {streams} streams, {} of messages, into {dir}", ByteSize::b(bytes))?;
    if let Some(replaced) = replaced {
        writeln!(out, "the log that was there is now {}", replaced.display())?;
    }
    Ok(())
}

fn read(args: &Import, input: &mut dyn BufRead) -> Result<ImportReport, Box<dyn Error>> {
    let bar = check::bar();
    let mut show = |done, total| check::show(&bar, done, total);
    let done = streamkeeper_storage_log::import(input, &args.dir, args.replace, &mut show);
    bar.finish_and_clear();
    done.map_err(|error| match error {
        ImportError::Open(error) => check::refused(&args.dir, &error).into(),
        error @ (ImportError::Line { .. } | ImportError::Unsound(_) | ImportError::Read(_)) => {
            format!("{}: {error}", args.file.display()).into()
        }
        error => error.to_string().into(),
    })
}
