//! Export: a log, or the streams below a prefix, as lines of JSON (UTF-8, each ended by a line feed).
//!
//! ```text
//! {"format":"streamkeeper-export","version":1,"streams":2,"bytes":11}
//! {"stream":"chat/1","id":"0193...","content_type":"text/plain","ttl_seconds":60, ...}
//! {"position":0,"lengths":[5,6],"bytes":"aGVsbG8gd29ybGQ="}
//! {"stream":"chat/2", ...}
//! {"end":true,"streams":2,"crc32c":"8a9136aa"}
//! ```
//!
//! The first line has the version of the format, the number of streams and of bytes of messages. The
//! last one has the number of streams again, and the CRC-32C (eight hexadecimal digits) of all bytes
//! before it, so that a file that was cut or changed is noticed.
//!
//! The first key of a line tells what it is. Streams come in ascending order of their ids. A stream's line has
//!
//! | key | value |
//! |---|---|
//! | `stream` | its name |
//! | `id` | this life of it: 32 hexadecimal digits |
//! | `content_type` | as it was given |
//! | `ttl_seconds`, or `expires_at`, or neither | when it ends by itself; `expires_at` in milliseconds since 1970 |
//! | `max_age_seconds`, `max_messages`, `max_bytes` | its retention policy, as far as it has one |
//! | `created_at`, `touched_at`, `appended_at` | milliseconds since 1970 |
//! | `closed`, `soft_deleted` | true or false |
//! | `earliest`, `tail` | positions, in bytes from its beginning |
//! | `messages`, `dropped` | how many were ever appended, and how many of them retention has dropped |
//! | `marks`, `unmarked_since` | with a retention policy: list of `position`, `messages`, `at`: the age of what lies before; and when what lies behind the last began |
//! | `version` | how many records were folded into it |
//! | `producers` | list of `id`, `epoch`, `seq`, sorted by id |
//! | `last_seq` | the last `Stream-Seq`, in base64, if there was one |
//! | `origin` | of a fork: `source`, `source_id`, `anchor`, `sub_offset`, `earliest`, `lineage` (list of `id`, `until`) |
//! | `forks` | list of `id`, `keeps`: the forks that hold a reference on it, and from which position on each may read |
//!
//! Its messages follow, without a gap, from `earliest` or the least `keeps` (of a fork: from the end of
//! its lineage, if that is later) to `tail`, in lines of at most 1 MiB of messages (one message at least), as full as can
//! be: `position` of the first, `lengths` of each, and `bytes` in base64. They are in stored form: those
//! of JSON streams end with a comma each.
//!
//! The same streams give the same bytes, wherever and however they are stored.

pub(crate) mod base64;
pub(crate) mod json;
mod line;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use streamkeeper_protocol::Batch;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::{Chunk, StorageError};

use crate::OpenError;
use crate::check::{Catalog, CheckReport, check_loaded, start};
use crate::crc32c;
use crate::env::{Env, RealEnv};

/// What the first line says the file is.
pub(crate) const FORMAT: &str = "streamkeeper-export";
/// The version of the format that is written, and the latest that is read.
pub(crate) const VERSION: u64 = 1;

/// Most bytes of messages in a line, unless one message alone has more.
const LINE_BYTES: u64 = 1 << 20;

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// How many streams.
    pub streams: u64,
    /// How many bytes of messages.
    pub bytes: u64,
    /// The streams that do not have the prefix, but data that one with the prefix inherits.
    pub ancestors: Vec<String>,
}

/// Why nothing, or not everything, was exported. What was written is no whole export then.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log is damaged.
    #[error("the log is damaged ({count} findings, the first: {first}); see `streamkeeper check`")]
    Damaged {
        /// How many findings there are.
        count: usize,
        /// The first finding.
        first: String,
    },
    /// The messages of a stream cannot be read.
    #[error("stream `{stream}`: {error}; see `streamkeeper check`")]
    Read {
        /// The name of the stream.
        stream: String,
        /// What is wrong.
        error: StorageError,
    },
    /// The lines cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Exports the streams of a log whose names begin with a prefix, and the ancestors whose data they
/// inherit. No server may have the log open; no file of it is changed. Tells how far it is: bytes of
/// messages written, and bytes there are.
pub fn export(
    dir: &Path,
    prefix: &str,
    output: &mut impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ExportReport, ExportError> {
    export_in(Arc::new(RealEnv), dir, prefix, output, progress)
}

/// [`export`] from another file system.
pub fn export_in(
    env: Arc<dyn Env>,
    dir: &Path,
    prefix: &str,
    output: &mut impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ExportReport, ExportError> {
    let mut catalog = Catalog::load(env, dir, false, &mut |_, _| {})?;
    let CheckReport { findings, .. } = check_loaded(&mut catalog);
    if let Some(first) = findings.first() {
        return Err(ExportError::Damaged { count: findings.len(), first: first.to_string() });
    }
    let (chosen, ancestors) = choose(&catalog, prefix);
    let states = chosen.iter().filter_map(|id| catalog.stream(*id)?.state.as_ref());
    let bytes = states.map(|state| state.tail - start(state)).sum();
    let mut lines = Lines { output, crc: 0, line: String::new(), done: 0, bytes, progress };
    lines.write(|line| line::header(line, chosen.len() as u64, bytes))?;
    for id in &chosen {
        lines.stream(&catalog, *id)?;
    }
    let crc = lines.crc;
    lines.write(|line| line::end(line, chosen.len() as u64, crc))?;
    lines.output.flush()?;
    Ok(ExportReport { streams: chosen.len() as u64, bytes, ancestors })
}

/// The streams to export, and which of them are only there for others.
fn choose(catalog: &Catalog, prefix: &str) -> (BTreeSet<StreamId>, Vec<String>) {
    let named = catalog.fold.streams.iter().filter(|(_, stream)| {
        stream.name.as_ref().is_some_and(|name| name.as_str().starts_with(prefix))
    });
    let mut chosen: BTreeSet<StreamId> = named.map(|(id, _)| *id).collect();
    let mut ancestors = Vec::new();
    let mut new: Vec<StreamId> = chosen.iter().copied().collect();
    while let Some(id) = new.pop() {
        let state = catalog.stream(id).and_then(|stream| stream.state.as_ref());
        let origin = state.and_then(|state| state.origin.as_ref());
        for ancestor in origin.iter().flat_map(|origin| origin.lineage.iter()) {
            let Some(stream) = catalog.stream(ancestor.id) else { continue };
            if chosen.insert(ancestor.id) {
                ancestors.push(stream.label(ancestor.id));
                new.push(ancestor.id);
            }
        }
    }
    ancestors.sort_unstable();
    (chosen, ancestors)
}

struct Lines<'a, W> {
    output: &'a mut W,
    crc: u32,
    line: String,
    done: u64,
    bytes: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<W: Write> Lines<'_, W> {
    fn write(&mut self, write: impl FnOnce(&mut String)) -> io::Result<()> {
        self.line.clear();
        write(&mut self.line);
        self.line.push('\n');
        self.crc = crc32c::append(self.crc, self.line.as_bytes());
        self.output.write_all(self.line.as_bytes())
    }

    fn stream(&mut self, catalog: &Catalog, id: StreamId) -> Result<(), ExportError> {
        let Some(stream) = catalog.stream(id) else { return Ok(()) };
        let (Some(name), Some(state)) = (&stream.name, &stream.state) else { return Ok(()) };
        self.write(|line| line::stream(line, name, state))?;
        let mut pending = Pending::default();
        let span = (start(state), state.tail);
        let read = catalog.read(stream.places.iter().copied(), span, |chunk| {
            pending.take(&chunk, &mut |full| self.data(&full)).map_err(Stopped::Write)
        });
        let read =
            read.and_then(|()| pending.end(&mut |full| self.data(&full)).map_err(Stopped::Write));
        read.map_err(|stopped| match stopped {
            Stopped::Read(error) => ExportError::Read { stream: name.to_string(), error },
            Stopped::Write(error) => ExportError::Write(error),
        })
    }

    fn data(&mut self, chunk: &Chunk) -> io::Result<()> {
        self.write(|line| line::data(line, chunk))?;
        self.done += chunk.batch.size();
        (self.progress)(self.done, self.bytes);
        Ok(())
    }
}

enum Stopped {
    Read(StorageError),
    Write(io::Error),
}

impl From<StorageError> for Stopped {
    fn from(error: StorageError) -> Self {
        Self::Read(error)
    }
}

/// Messages of one line, gathered from however they are stored.
#[derive(Default)]
struct Pending {
    position: u64,
    lengths: Vec<u32>,
    bytes: BytesMut,
}

impl Pending {
    fn take(
        &mut self,
        chunk: &Chunk,
        full: &mut dyn FnMut(Chunk) -> io::Result<()>,
    ) -> io::Result<()> {
        let payload = chunk.batch.payload();
        for (begin, end) in chunk.messages() {
            let message =
                &payload[(begin - chunk.position) as usize..(end - chunk.position) as usize];
            if self.bytes.len() as u64 + message.len() as u64 > LINE_BYTES {
                self.end(full)?;
            }
            if self.lengths.is_empty() {
                self.position = begin;
            }
            self.lengths.push(message.len() as u32);
            self.bytes.extend_from_slice(message);
        }
        Ok(())
    }

    fn end(&mut self, full: &mut dyn FnMut(Chunk) -> io::Result<()>) -> io::Result<()> {
        let lengths = std::mem::take(&mut self.lengths);
        match Batch::many(self.bytes.split().freeze(), lengths) {
            Some(batch) => full(Chunk { position: self.position, batch }),
            None => Ok(()),
        }
    }
}
