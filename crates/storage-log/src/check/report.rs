//! What a check tells.

use std::fmt;
use std::path::PathBuf;

/// What is to be done about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repair {
    /// Nothing; no file is changed.
    #[default]
    Nothing,
    /// Keep what is intact; streams that have lost something are marked and not served.
    Mark,
    /// As [`Repair::Mark`], but those streams are served up to their first gap.
    Truncate,
    /// As [`Repair::Mark`], but those streams are dropped.
    Drop,
}

/// What a check found, and what it did about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// How many streams there are, soft-deleted ones included.
    pub streams: u64,
    /// How many messages of them are kept.
    pub messages: u64,
    /// How many bytes those have.
    pub message_bytes: u64,
    /// How many journal segments there are.
    pub journal_segments: u64,
    /// How many filed segments there are.
    pub filed_segments: u64,
    /// The size of all segments.
    pub file_bytes: u64,
    /// How much of the filed segments no stream needs any more.
    pub garbage_bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is unusual but right, such as what a crash leaves behind.
    pub notes: Vec<String>,
    /// What was done about it; `None` if nothing was to be done.
    pub repaired: Option<Repaired>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the directory of the log on.
    pub file: Option<PathBuf>,
    /// Where in the file.
    pub byte: Option<u64>,
    /// The stream, if it is known: its name, or else its id.
    pub stream: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// The damaged files, as they were, from the directory of the log on.
    pub quarantined: Vec<PathBuf>,
    /// The files that were written in their place.
    pub written: Vec<PathBuf>,
    /// Streams that are not served (`storage_corrupt`), and what they have lost.
    pub marked: Vec<String>,
    /// Streams that are served up to their first gap, and what they have lost.
    pub truncated: Vec<String>,
    /// Streams that are no more, and what they had lost.
    pub dropped: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Finding {
    pub(crate) fn of_file(file: PathBuf, byte: u64, what: impl Into<String>) -> Self {
        Self { file: Some(file), byte: Some(byte), stream: None, what: what.into() }
    }

    pub(crate) fn of_stream(stream: String, what: impl Into<String>) -> Self {
        Self { stream: Some(stream), what: what.into(), ..Self::default() }
    }

    pub(crate) fn with_stream(mut self, stream: Option<String>) -> Self {
        self.stream = stream;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(byte) = self.byte {
                write!(f, ", byte {byte}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(stream) = &self.stream {
            write!(f, "stream `{stream}`: ")?;
        }
        f.write_str(&self.what)
    }
}
