//! Writing a filed segment: under another name first, then renamed, so that it is whole or not there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::Chunk;

use super::{BLOCK_BYTES, Cover, HEADER_BYTES, MAGIC, Run, TRAILER_BYTES};
use crate::codec::Writer;
use crate::crc32c;
use crate::env::{Env, File};
use crate::{frame, journal};

/// A run that is longer goes on as another one, so that sizes fit and indexes stay small.
const MAX_RUN_BYTES: u64 = 32 << 20;

/// How much is gathered before it is written.
const WRITE_BYTES: usize = 1 << 20;

/// After how much it is synced, so that commits never wait behind a great deal of it.
const SYNC_BYTES: u64 = 2 << 20;

/// The name of a filed segment until it is whole.
pub(crate) const TEMPORARY: &str = "filing.tmp";

/// Called after so many bytes were written; may pause, and fails if the writing is to be given up.
pub(crate) type Pace<'a> = dyn Fn(u64) -> io::Result<()> + 'a;

/// A filed segment that is being written. Streams come in ascending order of their ids.
pub(crate) struct FiledWriter<'a> {
    env: &'a dyn Env,
    dir: PathBuf,
    cover: Cover,
    temporary: PathBuf,
    file: Arc<dyn File>,
    written: u64,
    buffer: Vec<u8>,
    footer: Vec<u8>,
    streams: u64,
    run: Option<OpenRun>,
    runs: Vec<Run>,
    pace: Option<&'a Pace<'a>>,
    unsynced: u64,
}

struct OpenRun {
    first: u64,
    end: u64,
    offset: u64,
    /// Position, offset and size of each block.
    blocks: Vec<(u64, u64, u32)>,
    block: Block,
}

#[derive(Default)]
struct Block {
    position: u64,
    lengths: Vec<u32>,
    messages: Vec<u8>,
}

impl<'a> FiledWriter<'a> {
    /// Begins one.
    pub(crate) fn create(
        env: &'a dyn Env,
        dir: &Path,
        cover: Cover,
        pace: Option<&'a Pace<'a>>,
    ) -> io::Result<Self> {
        discard(env, dir)?;
        let temporary = dir.join(TEMPORARY);
        let file = env.create(&temporary)?;
        let mut buffer = Vec::with_capacity(WRITE_BYTES + BLOCK_BYTES);
        buffer.extend_from_slice(MAGIC);
        for number in [cover.first, cover.last, cover.generation] {
            buffer.extend_from_slice(&number.to_le_bytes());
        }
        Ok(Self {
            env,
            dir: dir.to_path_buf(),
            cover,
            temporary,
            file,
            written: 0,
            buffer,
            footer: Vec::new(),
            streams: 0,
            run: None,
            runs: Vec::new(),
            pace,
            unsynced: 0,
        })
    }

    /// Adds messages of the current stream, in order.
    pub(crate) fn add(&mut self, chunk: &Chunk) -> io::Result<()> {
        let offset = self.offset();
        let ends =
            |run: &OpenRun| run.end != chunk.position || offset - run.offset >= MAX_RUN_BYTES;
        if self.run.as_ref().is_some_and(ends) {
            self.end_run()?;
        }
        let offset = self.offset();
        let payload = chunk.batch.payload();
        for (begin, end) in chunk.messages() {
            let run = self.run.get_or_insert_with(|| OpenRun {
                first: begin,
                end: begin,
                offset,
                blocks: Vec::new(),
                block: Block::default(),
            });
            if run.block.lengths.is_empty() {
                run.block.position = begin;
            }
            let bytes =
                &payload[(begin - chunk.position) as usize..(end - chunk.position) as usize];
            run.block.lengths.push(bytes.len() as u32);
            run.block.messages.extend_from_slice(bytes);
            run.end = end;
            if run.block.messages.len() >= BLOCK_BYTES {
                self.end_block()?;
            }
        }
        Ok(())
    }

    /// Ends the current stream, which lives with this state.
    pub(crate) fn end_stream(
        &mut self,
        id: StreamId,
        name: &StreamName,
        state: &[u8],
    ) -> io::Result<Vec<Run>> {
        self.end_run()?;
        let runs = std::mem::take(&mut self.runs);
        let mut w = Writer(&mut self.footer);
        w.id(id);
        w.bool(true);
        w.bytes(name.as_str().as_bytes());
        w.bytes(state);
        w.varint(runs.len() as u64);
        for run in &runs {
            w.varint(run.first);
            w.varint(run.end);
            w.varint(run.offset);
            w.varint(u64::from(run.size));
            w.varint(run.index);
        }
        self.streams += 1;
        Ok(runs)
    }

    /// Tells that a stream that earlier segments know has ended.
    pub(crate) fn tombstone(&mut self, id: StreamId) {
        let mut w = Writer(&mut self.footer);
        w.id(id);
        w.bool(false);
        self.streams += 1;
    }

    /// Makes the segment durable under its name.
    pub(crate) fn finish(mut self) -> io::Result<Arc<dyn File>> {
        let offset = self.offset();
        let mut count = Vec::new();
        Writer(&mut count).varint(self.streams);
        if count.len() + self.footer.len() > frame::MAX_BODY_BYTES {
            return Err(io::Error::other("too many streams for one filed segment"));
        }
        // With a million streams it is large, so it is not copied.
        let footer = std::mem::take(&mut self.footer);
        self.buffer.extend_from_slice(&frame::header_of(&count, &footer));
        self.buffer.extend_from_slice(&count);
        self.flush()?;
        for piece in footer.chunks(WRITE_BYTES) {
            self.write(piece)?;
        }
        self.buffer.extend_from_slice(&trailer(self.cover, offset));
        self.flush()?;
        self.file.sync()?;
        self.env.rename(&self.temporary, &self.cover.path(&self.dir))?;
        self.env.sync_dir(&self.dir)?;
        Ok(self.file)
    }

    fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn end_block(&mut self) -> io::Result<()> {
        let offset = self.offset();
        let Some(run) = &mut self.run else { return Ok(()) };
        let block = &mut run.block;
        if block.lengths.is_empty() {
            return Ok(());
        }
        let mut before = Vec::with_capacity(3 * block.lengths.len() + 16);
        let mut w = Writer(&mut before);
        w.varint(block.position);
        w.varint(block.lengths.len() as u64);
        block.lengths.iter().for_each(|length| w.varint(u64::from(*length)));
        self.buffer.extend_from_slice(&frame::header_of(&before, &block.messages));
        self.buffer.extend_from_slice(&before);
        self.buffer.extend_from_slice(&block.messages);
        let size = frame::HEADER_BYTES + before.len() + block.messages.len();
        run.blocks.push((block.position, offset, size as u32));
        block.lengths.clear();
        block.messages.clear();
        match self.buffer.len() >= WRITE_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn end_run(&mut self) -> io::Result<()> {
        self.end_block()?;
        let Some(run) = self.run.take() else { return Ok(()) };
        let end = self.offset();
        let size = u32::try_from(end - run.offset).map_err(io::Error::other)?;
        let mut index = 0;
        if run.blocks.len() > 1 {
            index = end;
            let mut body = Vec::with_capacity(12 * run.blocks.len());
            let mut w = Writer(&mut body);
            w.varint(run.blocks.len() as u64);
            for (position, offset, size) in &run.blocks {
                w.varint(*position);
                w.varint(*offset);
                w.varint(u64::from(*size));
            }
            self.buffer.extend_from_slice(&frame::seal_body(&body));
        }
        self.runs.push(Run { first: run.first, end: run.end, offset: run.offset, size, index });
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = self.write(&buffer);
        buffer.clear();
        self.buffer = buffer;
        written
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        journal::write_all(&*self.file, bytes, self.written)?;
        self.written += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        self.pace.map_or(Ok(()), |pace| pace(bytes.len() as u64))
    }
}

/// Removes a segment that was not finished, if there is one.
pub(crate) fn discard(env: &dyn Env, dir: &Path) -> io::Result<()> {
    match env.list(dir)?.iter().any(|name| name == TEMPORARY) {
        true => env.remove(&dir.join(TEMPORARY)),
        false => Ok(()),
    }
}

pub(super) fn trailer(cover: Cover, footer: u64) -> [u8; TRAILER_BYTES as usize] {
    let mut trailer = [0; TRAILER_BYTES as usize];
    trailer[..8].copy_from_slice(&footer.to_le_bytes());
    let mut covered = Vec::with_capacity(HEADER_BYTES as usize);
    for number in [footer, cover.first, cover.last, cover.generation] {
        covered.extend_from_slice(&number.to_le_bytes());
    }
    trailer[8..12].copy_from_slice(&crc32c::of(&covered).to_le_bytes());
    trailer
}
