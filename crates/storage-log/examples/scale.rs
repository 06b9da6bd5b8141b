//! How the log does at scale: a million streams, and a gibibyte read back.
//!
//! ```text
//! cargo run --release -p streamkeeper-storage-log --example scale -- [DIR [STREAMS [MIB]]]
//! ```
//!
//! Each part runs in a process of its own, so that memory and descriptors are its own. DIR is a new
//! directory on the disk that is to be measured, and is removed at the end; 1,000,000 streams and
//! 1024 MiB are the default. Cold reads need the right to drop the page cache (root), else they are
//! left out.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::future::join_all;
use streamkeeper_protocol::stream::{Config, Record, StreamId};
use streamkeeper_protocol::{Batch, StreamName, Timestamp};
use streamkeeper_storage::{Entry, Range, Storage};
use streamkeeper_storage_log::{LogOptions, LogStorage, OpenReport};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How many commits are in flight.
const CALLERS: u64 = 512;
/// How many streams the small log has, and over how many the interleaved one spreads its bytes.
const FEW: u64 = 64;
const APPENDS: u64 = 200_000;
/// Of each writer, where latency is measured.
const LATENCY_APPENDS: u64 = 2000;
const SMALL_READS: u32 = 20_000;
const MESSAGE_BYTES: usize = 100;
const REPLAY_MESSAGE_BYTES: usize = 1024;
const REPLAY_APPEND_BYTES: usize = 4096;
const PAGE_BYTES: u64 = 1 << 20;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["create", dir, streams] => run(create(Path::new(dir), streams.parse()?)),
        ["open", dir, streams] => run(open(Path::new(dir), streams.parse()?)),
        ["write", dir, streams, mib] => run(write(Path::new(dir), streams.parse()?, mib.parse()?)),
        ["read", dir, streams, mib, readers] => {
            run(read(Path::new(dir), streams.parse()?, mib.parse()?, readers.parse()?))
        }
        ["latency", dir, filing] => run(latency(Path::new(dir), filing.parse()?)),
        rest => {
            let dir =
                rest.first().map_or_else(|| std::env::temp_dir().join("scale"), PathBuf::from);
            let number =
                |at: usize, default| rest.get(at).map_or(Ok(default), |n| n.parse::<u64>());
            let outcome = everything(&dir, number(1, 1_000_000)?, number(2, 1024)?);
            fs::remove_dir_all(&dir)?;
            outcome
        }
    }
}

fn run(part: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(part)
}

fn everything(dir: &Path, streams: u64, mib: u64) -> Outcome<()> {
    fs::create_dir(dir)?;
    let many = dir.join("many");
    let few = dir.join("few");
    for (dir, streams) in [(&few, FEW), (&many, streams)] {
        part(&["create", &text(dir), &streams.to_string()])?;
        part(&["open", &text(dir), &streams.to_string()])?;
    }
    fs::remove_dir_all(&many)?;
    for filing in ["false", "true"] {
        part(&["latency", &text(&dir.join(format!("latency-{filing}"))), filing])?;
    }
    for streams in [1, FEW] {
        let (dir, streams) = (dir.join(format!("replay-{streams}")), streams.to_string());
        part(&["write", &text(&dir), &streams, &mib.to_string()])?;
        for cold in [false, true] {
            cat(&dir.join("filed"), cold)?;
            for readers in ["1", "4"] {
                if !cold || drop_caches() {
                    say(if cold { "cold: " } else { "warm: " })?;
                    part(&["read", &text(&dir), &streams, &mib.to_string(), readers])?;
                }
            }
        }
    }
    Ok(())
}

fn part(args: &[&str]) -> Outcome<()> {
    let status = Command::new(std::env::current_exe()?).args(args).status()?;
    if status.success() { Ok(()) } else { Err(format!("{args:?}: {status}").into()) }
}

async fn create(dir: &Path, streams: u64) -> Outcome<()> {
    let (log, _) = open_log(dir)?;
    let begun = now();
    let message = Bytes::from(vec![b'x'; MESSAGE_BYTES]);
    for first in (0..streams).step_by(CALLERS as usize * 8) {
        let numbers = first..streams.min(first + CALLERS * 8);
        let commits = numbers.map(|number| log.commit(creation(number, message.clone())));
        join_all(commits).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    say(&format!(
        "{streams} streams: created in {seconds:.2} s, {:.0}/s\n",
        streams as f64 / seconds
    ))?;
    drop(log);
    // Opened anew, all of it is sealed, and so filed.
    open_log(dir)?.0.settle();
    Ok(())
}

async fn open(dir: &Path, streams: u64) -> Outcome<()> {
    let before = status("VmRSS:")?;
    let (begun, cpu) = (now(), cpu_ticks()?);
    let (log, report) = open_log(dir)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (cpu_ticks()? - cpu) as f64 / 100.0;
    assert_eq!(report.streams as u64, streams);
    let resident = (status("VmRSS:")? - before) as f64 * 1024.0 / streams as f64;
    let peak = status("VmHWM:")? / 1024;
    say(&format!(
        "{streams} streams: opened in {seconds:.3} s ({cpu:.2} s CPU), {resident:.0} B resident a stream, "
    ))?;
    say(&format!("peak {peak} MiB, {} descriptors\n", descriptors()?))?;
    let mut versions = vec![1; streams as usize];
    let mut random = 4711u64;
    let (begun, cpu) = (now(), cpu_ticks()?);
    let mut worst = 0f64;
    for _ in 0..APPENDS / CALLERS {
        let batch = (0..CALLERS).map(|_| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let number = (random >> 33) % streams;
            let follows = versions[number as usize];
            versions[number as usize] += 1;
            log.commit(append(number, follows, Bytes::from(vec![b'y'; MESSAGE_BYTES])))
        });
        let sent = now();
        join_all(batch.collect::<Vec<_>>()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        worst = worst.max(sent.elapsed().as_secs_f64());
    }
    let seconds = begun.elapsed().as_secs_f64();
    let done = (APPENDS / CALLERS * CALLERS) as f64;
    let cpu = (cpu_ticks()? - cpu) as f64 / 100.0;
    say(&format!("{streams} streams: {:.0} appends/s, ", done / seconds))?;
    say(&format!(
        "{:.2} us CPU an append, slowest batch {:.1} ms, ",
        cpu * 1e6 / done,
        worst * 1e3
    ))?;
    let (begun, cpu) = (now(), cpu_ticks()?);
    for _ in 0..SMALL_READS {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let id = id((random >> 33) % streams);
        log.read(Range { id, from: 0, until: u64::MAX, max_bytes: 4096 }).await?;
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(SMALL_READS);
    let cpu = (cpu_ticks()? - cpu) as f64 * 1e4 / f64::from(SMALL_READS);
    say(&format!("small reads {each:.1} us each ({cpu:.1} us CPU), "))?;
    // What a thread that may wait would cost on top.
    let (begun, cpu) = (now(), cpu_ticks()?);
    for _ in 0..SMALL_READS {
        tokio::task::spawn_blocking(|| ()).await?;
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(SMALL_READS);
    let cpu = (cpu_ticks()? - cpu) as f64 * 1e4 / f64::from(SMALL_READS);
    say(&format!("a blocking task {each:.1} us ({cpu:.1} us CPU), "))?;
    log.settle();
    let resident = (status("VmRSS:")? - before) as f64 * 1024.0 / streams as f64;
    say(&format!("then {resident:.0} B a stream, {} descriptors\n", descriptors()?))
}

/// How long appends take that wait for each other, with and without filing beside them.
async fn latency(dir: &Path, filing: bool) -> Outcome<()> {
    let segment_bytes = if filing { 8 << 20 } else { u64::MAX };
    let options = LogOptions { segment_bytes, ..LogOptions::default() };
    let log = Arc::new(LogStorage::open(dir, options)?.0);
    let writers = (0..FEW).map(|number| {
        let log = log.clone();
        tokio::spawn(async move {
            let message = Bytes::from(vec![b'x'; REPLAY_MESSAGE_BYTES]);
            log.commit(creation(number, message.clone())).await?;
            let mut micros = Vec::new();
            for follows in 1..=LATENCY_APPENDS {
                let begun = now();
                log.commit(append(number, follows, message.clone())).await?;
                micros.push(begun.elapsed().as_micros());
            }
            Ok::<_, streamkeeper_storage::StorageError>(micros)
        })
    });
    let mut micros = Vec::new();
    for writer in join_all(writers).await {
        micros.extend(writer??);
    }
    micros.sort_unstable();
    let at = |share: f64| micros[(micros.len() as f64 * share) as usize] as f64 / 1000.0;
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    let how = if filing { "with" } else { "without" };
    say(&format!("{how} filing: an append takes {p50:.2} ms, p99 {p99:.2}, p99.9 {p999:.2}\n"))
}

/// Writes so many MiB, of each stream a little in turn.
async fn write(dir: &Path, streams: u64, mib: u64) -> Outcome<()> {
    let (log, _) = open_log(dir)?;
    let payload = Bytes::from(vec![b'z'; REPLAY_APPEND_BYTES]);
    let lengths = vec![REPLAY_MESSAGE_BYTES as u32; REPLAY_APPEND_BYTES / REPLAY_MESSAGE_BYTES];
    let batch = || Batch::many(payload.clone(), lengths.clone());
    for number in 0..streams {
        log.commit(creation(number, payload.slice(..REPLAY_MESSAGE_BYTES))).await?;
    }
    let appends = (mib << 20) / REPLAY_APPEND_BYTES as u64;
    for first in (0..appends).step_by(CALLERS as usize) {
        let commits = (first..appends.min(first + CALLERS)).map(|at| {
            let record = appended(batch());
            log.commit(entry(at % streams, 1 + at / streams, record))
        });
        join_all(commits).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    drop(log);
    open_log(dir)?.0.settle();
    Ok(())
}

/// Reads all streams back, page by page: so many readers, each one stream after the other.
async fn read(dir: &Path, streams: u64, mib: u64, readers: u64) -> Outcome<()> {
    let (log, _) = open_log(dir)?;
    let log = Arc::new(log);
    let begun = now();
    let tasks = (0..readers).map(|reader| {
        let log = log.clone();
        // With one stream all of them read that one.
        let mine = (0..streams).filter(move |number| streams == 1 || number % readers == reader);
        tokio::spawn(async move {
            let mut bytes = 0;
            for number in mine {
                bytes += read_stream(&log, id(number)).await?;
            }
            Ok::<_, streamkeeper_storage::StorageError>(bytes)
        })
    });
    let mut bytes = 0;
    for task in join_all(tasks).await {
        bytes += task??;
    }
    assert!(bytes >= mib << 20);
    let rate = bytes as f64 / begun.elapsed().as_secs_f64() / 1e9;
    say(&format!("{streams} streams, {readers} readers: {rate:.2} GB/s\n"))
}

async fn read_stream(
    log: &LogStorage,
    id: StreamId,
) -> Result<u64, streamkeeper_storage::StorageError> {
    let mut from = 0;
    loop {
        let range = Range { id, from, until: u64::MAX, max_bytes: PAGE_BYTES };
        match log.read(range).await?.last() {
            Some(last) => from = last.end(),
            None => return Ok(from),
        }
    }
}

/// What the kernel makes of the same files.
fn cat(dir: &Path, cold: bool) -> Outcome<()> {
    let files = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let bytes = files.iter().map(|file| fs::metadata(file).map(|data| data.len()));
    let bytes: u64 = bytes.sum::<Result<u64, _>>()?;
    if cold && !drop_caches() {
        return say("cold: the page cache cannot be dropped here\n");
    }
    let begun = now();
    let status = Command::new("cat").args(files).stdout(Stdio::piped()).spawn();
    // Through a pipe, for `cat` writes nothing to /dev/null that it would have to copy.
    let mut cat = status?;
    let mut sink = io::sink();
    let piped = cat.stdout.take().ok_or("no pipe")?;
    io::copy(&mut io::BufReader::with_capacity(1 << 17, piped), &mut sink)?;
    cat.wait()?;
    let piped = bytes as f64 / begun.elapsed().as_secs_f64() / 1e9;
    if cold {
        drop_caches();
    }
    let files = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let begun = now();
    Command::new("cat").args(files).stdout(fs::File::create("/dev/null")?).status()?;
    let null = bytes as f64 / begun.elapsed().as_secs_f64() / 1e9;
    let how = if cold { "cold" } else { "warm" };
    say(&format!("{how}: cat > /dev/null {null:.2} GB/s, cat | reader {piped:.2} GB/s\n"))
}

fn drop_caches() -> bool {
    let synced = Command::new("sync").status().is_ok();
    synced && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

fn open_log(dir: &Path) -> Outcome<(LogStorage, OpenReport)> {
    Ok(LogStorage::open(dir, LogOptions::default())?)
}

/// Ids are ordered in time, as those of the server are.
fn id(number: u64) -> StreamId {
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    StreamId::new(Uuid::from_u128(u128::from(number / 16) << 80 | u128::from(random)))
}

fn creation(number: u64, message: Bytes) -> Entry {
    let config = Config::default();
    let (id, batch, at) =
        (id(number), Batch::one(message), Timestamp::from_millis(1_764_000_000_000));
    let record = Record::Created { id, config, origin: None, batch, closed: false, at };
    entry(number, 0, record)
}

fn append(number: u64, follows: u64, message: Bytes) -> Entry {
    entry(number, follows, appended(Batch::one(message)))
}

fn appended(batch: Option<Batch>) -> Record {
    let at = Timestamp::from_millis(1_764_000_000_000);
    Record::Appended { batch, producer: None, seq: None, closes: false, at }
}

fn entry(number: u64, follows: u64, record: Record) -> Entry {
    // Hashed, so that names are in no order.
    let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let name = StreamName::new(&format!("tenant/{:08x}/{number}", hash >> 32));
    Entry { name: name.expect("a name"), id: id(number), follows, record }
}

fn status(field: &str) -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Processor time so far, in hundredths of a second.
fn cpu_ticks() -> Outcome<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no fields")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

fn descriptors() -> Outcome<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[expect(clippy::disallowed_methods, reason = "to measure is to look at the clock")]
fn now() -> Instant {
    Instant::now()
}

fn say(line: &str) -> Outcome<()> {
    let mut out = io::stdout();
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}
