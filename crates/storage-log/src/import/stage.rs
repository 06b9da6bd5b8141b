//! Staging: the lines of an export become a log in a directory that nobody uses yet.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::{StreamId, StreamState};

use super::line::{self, Line};
use super::{ImportError, ImportReport};
use crate::OpenError;
use crate::check::{Repair, check_in, start};
use crate::codec;
use crate::crc32c;
use crate::engine::{Engine, LOCK, LogOptions, check_format};
use crate::env::Env;
use crate::export::{FORMAT, VERSION};
use crate::filed::{Cover, FiledWriter};

/// The segment that holds all that is imported.
const COVER: Cover = Cover { first: 0, last: 0, generation: 0 };

/// Writes a log from the lines of an export, and opens it again to see that it is whole. What is in the
/// directory after an error is to be removed.
pub(super) fn stage(
    env: &Arc<dyn Env>,
    input: &mut dyn BufRead,
    dir: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ImportReport, ImportError> {
    let filed_dir = dir.join("filed");
    for folder in [&filed_dir, &dir.join("journal")] {
        env.create_dir_all(folder).map_err(ImportError::Write)?;
    }
    let lock = env.lock(&dir.join(LOCK)).map_err(ImportError::Write)?;
    let writer =
        FiledWriter::create(&**env, &filed_dir, COVER, None).map_err(ImportError::Write)?;
    let mut staging = Staging {
        writer,
        number: 0,
        expected: None,
        stream: None,
        last: None,
        names: HashSet::new(),
        done: 0,
        progress,
    };
    let report = staging.lines(input)?;
    staging.writer.finish().map_err(ImportError::Write)?;
    check_format(&**env, dir)?;
    env.sync_dir(dir).map_err(ImportError::Write)?;
    drop(lock);
    verify(env, dir, report.streams)?;
    Ok(report)
}

fn verify(env: &Arc<dyn Env>, dir: &Path, streams: u64) -> Result<(), ImportError> {
    let checked = check_in(env.clone(), dir, Repair::Nothing, &mut |_, _| {})?;
    if let Some(first) = checked.findings.first() {
        return Err(ImportError::Unsound(first.to_string()));
    }
    let (_, opened) = Engine::open(env.clone(), dir, LogOptions::default())?;
    match opened.streams as u64 == streams && opened.damage.is_empty() {
        true => Ok(()),
        false => {
            Err(OpenError::Io(std::io::Error::other("what was written opens otherwise")).into())
        }
    }
}

struct Staging<'a> {
    writer: FiledWriter<'a>,
    /// Of the line that is read.
    number: u64,
    /// The numbers of streams and bytes that the first line tells.
    expected: Option<(u64, u64)>,
    /// The stream whose messages come, up to where they came, and how many.
    stream: Option<(StreamName, Box<StreamState>, u64, u64)>,
    last: Option<StreamId>,
    names: HashSet<StreamName>,
    done: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Staging<'_> {
    fn lines(&mut self, input: &mut dyn BufRead) -> Result<ImportReport, ImportError> {
        let mut crc = 0;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.number += 1;
            let read = input.read_until(b'\n', &mut bytes).map_err(ImportError::Read)?;
            if read == 0 {
                return Err(self.wrong("the file ends without its last line: it was cut"));
            }
            let Some(line) = bytes.strip_suffix(b"\n") else {
                return Err(self.wrong("the file ends within a line: it was cut"));
            };
            let line = line::parse(line).map_err(|what| self.wrong(what))?;
            if let Line::End { streams, crc32c } = line {
                self.end_stream()?;
                let report = self.end(streams, &crc32c, crc)?;
                self.number += 1;
                let rest = input.fill_buf().map_err(ImportError::Read)?;
                return match rest.is_empty() {
                    true => Ok(report),
                    false => Err(self.wrong("something follows the last line")),
                };
            }
            crc = crc32c::append(crc, &bytes);
            self.line(line)?;
        }
    }

    fn line(&mut self, line: Line) -> Result<(), ImportError> {
        match (line, self.expected) {
            (Line::Header { format, version, streams, bytes }, None) => {
                if format != FORMAT {
                    return Err(self.wrong(format!("`{format}` is not {FORMAT}")));
                }
                if version != VERSION {
                    let what =
                        format!("its version is {version}, and this program reads {VERSION}");
                    return Err(self.wrong(what));
                }
                self.expected = Some((streams, bytes));
                Ok(())
            }
            (Line::Header { .. }, Some(_)) => Err(self.wrong("a second first line")),
            (_, None) => Err(self.wrong(format!("the file does not begin as a {FORMAT}"))),
            (Line::Stream(name, state), Some(_)) => {
                self.end_stream()?;
                self.begin_stream(name, state)
            }
            (Line::Data(chunk), Some((_, total))) => {
                let Some((_, state, at, count)) = &mut self.stream else {
                    return Err(self.wrong("messages without a stream"));
                };
                let begins = *count == 0;
                let first = chunk.messages().next().map_or(chunk.position, |(_, end)| end);
                // The first message may hold the earliest position inside it.
                let follows = match begins {
                    true => chunk.position <= *at && first > *at,
                    false => chunk.position == *at,
                };
                if !follows || chunk.end() > state.tail {
                    let (at, tail) = (*at, state.tail);
                    let what = format!("the messages do not follow from {at} towards {tail}");
                    return Err(self.wrong(what));
                }
                *at = chunk.end();
                *count += chunk.batch.count();
                self.done += chunk.batch.size();
                (self.progress)(self.done, total);
                self.writer.add(&chunk).map_err(ImportError::Write)
            }
            (Line::End { .. }, Some(_)) => Ok(()),
        }
    }

    fn begin_stream(
        &mut self,
        name: StreamName,
        state: Box<StreamState>,
    ) -> Result<(), ImportError> {
        if self.last.is_some_and(|last| last >= state.id) {
            return Err(self.wrong("the ids of streams do not ascend"));
        }
        if !self.names.insert(name.clone()) {
            return Err(self.wrong(format!("a second stream `{name}`")));
        }
        let at = start(&state);
        if at > state.tail {
            return Err(self.wrong("the stream begins behind its tail"));
        }
        self.last = Some(state.id);
        self.stream = Some((name, state, at, 0));
        Ok(())
    }

    fn end_stream(&mut self) -> Result<(), ImportError> {
        let Some((name, state, at, count)) = self.stream.take() else { return Ok(()) };
        if at != state.tail {
            let tail = state.tail;
            let what =
                format!("the messages of `{name}` before end at {at}, and its tail is {tail}");
            return Err(self.wrong(what));
        }
        if count > state.messages {
            return Err(self.wrong(format!("`{name}` before has more messages than it tells")));
        }
        let state_bytes = codec::encode_state(&state);
        let ended = self.writer.end_stream(state.id, &name, &state_bytes);
        ended.map(drop).map_err(ImportError::Write)
    }

    fn end(&self, streams: u64, told: &str, crc: u32) -> Result<ImportReport, ImportError> {
        let Some((expected, bytes)) = self.expected else {
            return Err(self.wrong(format!("the file does not begin as a {FORMAT}")));
        };
        if told != format!("{crc:08x}") {
            return Err(self.wrong("the checksum is another: the file is damaged"));
        }
        let there = self.names.len() as u64;
        if (streams, expected) != (there, there) || bytes != self.done {
            return Err(self.wrong("the numbers of streams or bytes are others than are told"));
        }
        Ok(ImportReport { streams, bytes, replaced: None })
    }

    fn wrong(&self, what: impl Into<String>) -> ImportError {
        ImportError::Line { line: self.number, what: what.into() }
    }
}
