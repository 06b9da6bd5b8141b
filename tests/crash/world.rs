//! What the clients were told: the history that the checker holds against the server.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::client::Answer;
use crate::solo::Solo;

/// How many streams the writers share.
pub(crate) const SHARED: usize = 24;
/// The first of them have one more writer each, which numbers its appends with `Stream-Seq`.
pub(crate) const SEQUENCED: usize = 8;

/// How many lines of a stream's history are kept for the report of a violation.
const LINES: usize = 80;

/// Everything that is known, shared by all clients.
pub(crate) struct World {
    pub(crate) shared: Vec<Mutex<Shared>>,
    /// Streams with one owner each, by name.
    pub(crate) solos: Mutex<BTreeMap<String, Solo>>,
    /// Set before the server is asked to end: from here on connections may break.
    pub(crate) ending: AtomicBool,
    pub(crate) counts: Counts,
    violations: Mutex<Vec<String>>,
    clock: AtomicU64,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) acknowledged: AtomicU64,
    pub(crate) unknown: AtomicU64,
    /// Unknown outcomes that turned out to be there after the restart.
    pub(crate) unknown_kept: AtomicU64,
    pub(crate) duplicates_refused: AtomicU64,
    pub(crate) pages_shown: AtomicU64,
    pub(crate) bytes_checked: AtomicU64,
    pub(crate) probes: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A stream that many writers append to at the same time.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) json: bool,
    /// Counts its creations: it is deleted and created anew when it has become large.
    pub(crate) life: u64,
    /// The bytes, in stored form, that were there at the last check. They stay for ever.
    pub(crate) content: Vec<u8>,
    /// Where appends end in them.
    pub(crate) boundaries: Vec<u64>,
    /// Appends since the last check.
    pub(crate) appends: Vec<Append>,
    /// What readers were shown since the last check.
    pub(crate) shown: Vec<Shown>,
    /// For appends of unknown outcome: whether the last check has found them.
    pub(crate) resolved: HashMap<String, bool>,
    /// The last acknowledged epoch and sequence number by producer, if nothing is in flight.
    pub(crate) producers: BTreeMap<usize, (u64, u64)>,
    /// The last acknowledged `Stream-Seq`, if nothing is in flight.
    pub(crate) sequence: Option<String>,
    pub(crate) lines: Lines,
}

/// One append and what became of it.
#[derive(Debug)]
pub(crate) struct Append {
    /// Names it in the bytes of its first message: no two appends have the same.
    pub(crate) key: String,
    pub(crate) writer: usize,
    /// The bytes in stored form: each message of a JSON stream with a comma behind it.
    pub(crate) stored: Vec<u8>,
    pub(crate) began: u64,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Unknown,
    Acknowledged { end: u64, at: u64 },
}

/// Bytes that a reader was shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) how: &'static str,
    pub(crate) from: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The latest lines of a history.
#[derive(Debug, Default)]
pub(crate) struct Lines(VecDeque<String>);

impl Lines {
    pub(crate) fn push(&mut self, line: String) {
        if self.0.len() == LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |text, line| text + "    " + line + "\n")
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            shared: (0..SHARED).map(|index| Mutex::new(Shared::new(index))).collect(),
            solos: Mutex::default(),
            ending: AtomicBool::new(false),
            counts: Counts::default(),
            violations: Mutex::default(),
            clock: AtomicU64::new(0),
        }
    }

    /// The next moment of a clock that only tells before from after.
    pub(crate) fn moment(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// A promise was broken.
    pub(crate) fn violation(&self, stream: &str, what: &str, history: &Lines) {
        let mut report = format!("VIOLATION at `{stream}`: {what}\n  history of the stream:\n");
        report += &history.text();
        eprintln!("{report}");
        self.violations.lock().push(report);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.violations.lock())
    }

    /// Begins an append to a shared stream: its outcome is unknown until it is told.
    pub(crate) fn begin(&self, stream: usize, writer: usize, key: &str, stored: Vec<u8>) {
        let began = self.moment();
        let mut shared = self.shared[stream].lock();
        let append =
            Append { key: key.to_owned(), writer, stored, began, outcome: Outcome::Unknown };
        shared.lines.push(format!("{key}: sent, {} bytes", append.stored.len()));
        shared.appends.push(append);
    }

    /// The append was acknowledged.
    pub(crate) fn acknowledged(&self, stream: usize, key: &str, answer: &Answer) {
        let at = self.moment();
        count(&self.counts.acknowledged);
        let mut shared = self.shared[stream].lock();
        let end = answer.next_offset();
        shared.lines.push(format!("{key}: {} next offset {end:?}", answer.status));
        match (end, shared.appends.iter_mut().rfind(|append| append.key == key)) {
            (Some(end), Some(append)) => append.outcome = Outcome::Acknowledged { end, at },
            _ => self.violation(&shared.name, "an ack without an offset", &shared.lines),
        }
    }

    /// An answer that the server had no reason for.
    pub(crate) fn unexpected(&self, stream: usize, key: &str, expected: &str, answer: &Answer) {
        let shared = self.shared[stream].lock();
        let what = format!("{key}: expected {expected}, got {}", answer.summary());
        self.violation(&shared.name, &what, &shared.lines);
    }

    /// A request that got no answer. Only the end of the server is a reason for that.
    pub(crate) fn broken(&self, name: &str, error: &std::io::Error) {
        count(&self.counts.unknown);
        if !self.is_ending() {
            let what = format!("a connection broke while the server was up: {error}");
            self.violation(name, &what, &Lines::default());
        }
    }

    pub(crate) fn figures(&self) -> String {
        let mut text = format!("{:?}", self.counts);
        let bytes: usize = self.shared.iter().map(|shared| shared.lock().content.len()).sum();
        let _ = write!(text, " shared bytes: {bytes}, solo streams: {}", self.solos.lock().len());
        text
    }
}

impl Shared {
    fn new(index: usize) -> Self {
        Self {
            name: format!("shared/{index}"),
            json: index % 2 == 1,
            life: 0,
            content: Vec::new(),
            boundaries: vec![0],
            appends: Vec::new(),
            shown: Vec::new(),
            resolved: HashMap::new(),
            producers: BTreeMap::new(),
            sequence: None,
            lines: Lines::default(),
        }
    }

    /// The name is free again: everything of the last life must be gone.
    pub(crate) fn reset(&mut self) {
        self.life += 1;
        self.content.clear();
        self.boundaries = vec![0];
        self.producers.clear();
        self.resolved.clear();
        self.sequence = None;
    }
}
