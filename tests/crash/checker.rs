//! Holds what is served after a restart against everything that clients were told before it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

use crate::client::{Client, Request, offset};
use crate::message;
use crate::probe::Probe;
use crate::solo::{Content, State};
use crate::world::{Append, Outcome, SHARED, Shared, World};

/// How many streams are looked at to which nothing has happened.
const SAMPLE: usize = 40;
/// How many clients check at the same time.
const CHECKERS: usize = 6;
/// A shared stream beyond this size is deleted and created anew.
const LARGE: usize = 1 << 20;

/// A stream as it is served, from an offset to its end.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) status: u16,
    bytes: Vec<u8>,
    closed: bool,
    /// What does not agree with itself.
    wrong: Option<String>,
}

impl Fetched {
    pub(crate) fn state(self) -> Result<State, String> {
        match (self.wrong, self.status) {
            (Some(wrong), _) => Err(wrong),
            (None, 404) => Ok(State::Absent),
            (None, 410) => Ok(State::Gone),
            (None, 200) => Ok(State::Live(Content { bytes: self.bytes, closed: self.closed })),
            (None, other) => Err(format!("reading it is answered with {other}")),
        }
    }
}

/// Reads a stream page by page.
pub(crate) async fn fetch(
    client: &mut Client,
    name: &str,
    json: bool,
    from: u64,
) -> io::Result<Fetched> {
    let mut fetched = Fetched::default();
    let mut at = from;
    loop {
        let answer = client.send(&Request::get(&format!("{name}?offset={}", offset(at)))).await?;
        fetched.status = answer.status;
        if answer.status != 200 {
            let unexpected = !matches!(answer.status, 404 | 410 | 503);
            fetched.wrong = unexpected.then(|| answer.summary());
            return Ok(fetched);
        }
        let page = message::stored(json, &answer.body);
        at += page.len() as u64;
        fetched.bytes.extend_from_slice(&page);
        fetched.closed = answer.is_closed();
        if answer.next_offset() != Some(at) || page.is_empty() && !answer.is_up_to_date() {
            let said = answer.next_offset();
            fetched.wrong = Some(format!("a page ends at {at}, but next offset is {said:?}"));
            return Ok(fetched);
        }
        if answer.is_up_to_date() {
            return Ok(fetched);
        }
    }
}

/// Checks all shared streams and those of the others to which something has happened; all of them
/// if `thorough`.
pub(crate) async fn check(world: &Arc<World>, address: SocketAddr, seed: u64, thorough: bool) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut solos: Vec<String> = {
        let mut solos = world.solos.lock();
        let all = solos.iter_mut();
        let touched = all.filter_map(|(name, solo)| {
            let touched = std::mem::take(&mut solo.touched);
            (touched || thorough).then(|| name.clone())
        });
        touched.collect()
    };
    let sample = world.solos.lock().keys().cloned().choose_multiple(&mut rng, SAMPLE);
    solos.extend(sample);
    let tasks: Vec<_> = (0..CHECKERS)
        .map(|part| {
            let (world, mut rng) = (world.clone(), SmallRng::seed_from_u64(seed + part as u64));
            let mine: Vec<_> = solos.iter().skip(part).step_by(CHECKERS).cloned().collect();
            tokio::spawn(async move {
                let mut client = Client::new(address);
                for name in mine {
                    let _ = world.look(&mut client, &name).await;
                }
                for index in (part..SHARED).step_by(CHECKERS) {
                    let checked = shared(&world, &mut client, index, thorough, &mut rng).await;
                    if let Err(what) = checked {
                        let shared = world.shared[index].lock();
                        world.violation(&shared.name, &what, &shared.lines);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the checker does not panic");
    }
}

async fn shared(
    world: &World,
    client: &mut Client,
    index: usize,
    thorough: bool,
    rng: &mut SmallRng,
) -> Result<(), String> {
    let (name, json, from) = {
        let shared = world.shared[index].lock();
        let from = shared.boundaries.choose(rng).copied().unwrap_or_default();
        (shared.name.clone(), shared.json, if thorough || rng.random_bool(0.3) { 0 } else { from })
    };
    let fetched = fetch(client, &name, json, from).await.map_err(|error| error.to_string())?;
    let State::Live(content) = fetched.state()? else { return Err("is not there".into()) };
    if content.closed {
        return Err("is closed, and nobody has closed it".into());
    }
    world.counts.bytes_checked.fetch_add(content.bytes.len() as u64, Ordering::Relaxed);
    let tail = {
        let mut shared = world.shared[index].lock();
        let found = judge(&mut shared, from, &content.bytes)?;
        world.counts.unknown_kept.fetch_add(found, Ordering::Relaxed);
        shared.content.len() as u64
    };
    let mut probe = Probe { world, client, index };
    probe.producers(rng, thorough).await?;
    probe.sequence().await?;
    probe.tail(tail).await?;
    if tail as usize > LARGE {
        probe.begin_anew().await?;
    }
    Ok(())
}

/// Holds the bytes that are served from an offset on against the history of a stream.
///
/// Returns how many appends of unknown outcome are there.
fn judge(shared: &mut Shared, from: u64, served: &[u8]) -> Result<u64, String> {
    let known = &shared.content[from as usize..];
    if !served.starts_with(known) {
        let equal = served.iter().zip(known).take_while(|(a, b)| a == b).count();
        let at = from as usize + equal;
        let (have, had) = (from as usize + served.len(), shared.content.len());
        return Err(format!("differs at {at} from what was served before ({have} / {had} bytes)"));
    }
    let mut bytes = std::mem::take(&mut shared.content);
    let checked = bytes.len() as u64;
    bytes.extend_from_slice(&served[known_len(from, checked)..]);
    let appends = std::mem::take(&mut shared.appends);
    let ends = place(shared.json, &appends, &bytes, checked)?;
    let mut found = 0;
    for append in &appends {
        let end = ends.get(append.key.as_str()).copied();
        match append.outcome {
            Outcome::Acknowledged { end: told, .. } if end != Some(told) => {
                return Err(match end {
                    None => format!("LOST: {} was acknowledged at {told}", append.key),
                    Some(end) => format!("{} was told to end at {told}, ends at {end}", append.key),
                });
            }
            Outcome::Acknowledged { .. } => {}
            Outcome::Unknown => {
                found += u64::from(end.is_some());
                shared.lines.push(format!("{}: unknown; found: {end:?}", append.key));
                shared.resolved.insert(append.key.clone(), end.is_some());
            }
        }
    }
    check_order(&appends, &ends)?;
    for shown in shared.shown.drain(..) {
        let at = shown.from as usize;
        if bytes.get(at..at + shown.bytes.len()) != Some(&shown.bytes[..]) {
            let size = shown.bytes.len();
            return Err(format!("{size} bytes shown at {at} by {} are not there", shown.how));
        }
    }
    shared.lines.push(format!("checked: {} bytes", bytes.len()));
    shared.boundaries.extend(ends.values());
    shared.content = bytes;
    Ok(found)
}

fn known_len(from: u64, checked: u64) -> usize {
    (checked - from) as usize
}

/// Finds where each append ends: what is new must be whole appends, one after the other, each once.
fn place<'a>(
    json: bool,
    appends: &'a [Append],
    bytes: &[u8],
    from: u64,
) -> Result<HashMap<&'a str, u64>, String> {
    let by_key: HashMap<_, _> =
        appends.iter().map(|append| (append.key.as_str(), append)).collect();
    let mut ends = HashMap::new();
    let mut at = from as usize;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let start = rest[..rest.len().min(120)].escape_ascii();
        let append = message::key(json, rest).and_then(|key| by_key.get(key));
        let append = append.ok_or_else(|| {
            format!("at {at}: a duplicate of what was there before, or sent by nobody: `{start}`")
        })?;
        if !rest.starts_with(&append.stored) {
            return Err(format!("at {at}: {} is there only in part", append.key));
        }
        at += append.stored.len();
        if ends.insert(append.key.as_str(), at as u64).is_some() {
            return Err(format!("DUPLICATE: {} is there twice, again up to {at}", append.key));
        }
    }
    Ok(ends)
}

/// An append that was answered before another one was sent comes before it.
fn check_order(appends: &[Append], ends: &HashMap<&str, u64>) -> Result<(), String> {
    let mut placed: Vec<_> = appends
        .iter()
        .filter_map(|append| ends.get(append.key.as_str()).map(|end| (*end, append)))
        .collect();
    placed.sort_unstable_by_key(|(end, _)| *end);
    let mut earliest: Option<(u64, &Append)> = None;
    for (_, append) in placed.iter().rev() {
        if let Some((answered, later)) = earliest
            && answered < append.began
        {
            let (later, sooner) = (&later.key, &append.key);
            return Err(format!("REORDERED: {later} was answered before {sooner} was sent"));
        }
        if let Outcome::Acknowledged { at, .. } = append.outcome
            && earliest.is_none_or(|(answered, _)| at < answered)
        {
            earliest = Some((at, append));
        }
    }
    let twice: HashSet<_> = appends.iter().map(|append| (&append.key, append.writer)).collect();
    match twice.len() == appends.len() {
        true => Ok(()),
        false => Err("the test has sent a key twice".into()),
    }
}
