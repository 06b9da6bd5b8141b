//! Bit rot: a bit of a file changes that was durable.
//!
//! Reads give the right bytes or `Corrupt`, never others; only the stream whose bit it was may suffer;
//! and the evidence is kept: once the bit is right again, so is everything. A bit of the very last batch
//! is left alone: that looks like a batch torn by a crash.

mod strike;

use bytes::Bytes;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::{Range, StorageError};

use self::strike::{Place, Struck, draw};
use super::check::Tolerance;
use super::draw::append;
use super::model::States;
use super::world::World;
use super::{hunt, random};

#[test]
fn rot_is_never_served() {
    let stats = hunt::run("bit rot", 1200, run);
    let met = [stats.journal_rot, stats.filed_rot, stats.corrupt_answers];
    assert!(met.iter().all(|count| *count > 0) || stats.runs < 500, "{stats}");
}

fn run(world: &mut World) {
    world.recover();
    for _ in 0..world.chance.between(3, 25) {
        random::step(world);
        if !world.is_up() {
            world.recover();
        }
    }
    world.env.crash_at(0);
    world.space(None);
    for _ in 0..world.chance.between(1, 3) {
        if world.engine.is_none() || world.health().is_err() {
            world.recover();
        }
        if !rot_once(world) {
            break;
        }
    }
}

/// Flips a bit, sees what that does, flips it back, and sees that nothing has come of it; `false` if a
/// stream was marked as damaged for good, as filing may do.
fn rot_once(world: &mut World) -> bool {
    let live = world.chance.one_in(3);
    if !live {
        if world.chance.one_in(2) {
            // Let there be a torn batch, too.
            world.env.crash_at(1);
            commit_to_healthy(world);
            world.env.crash_at(0);
        }
        let end = world.draw_end();
        world.end(end);
    }
    let Some(struck) = draw(world) else {
        world.recover();
        return true;
    };
    world.note(|| format!("rot: {struck:?}, live: {live}"));
    match &struck.place {
        Place::Record { .. } | Place::Mark => world.stats.journal_rot += 1,
        Place::Run(_) | Place::Segment | Place::Nothing => world.stats.filed_rot += 1,
    }
    world.rotten = true;
    struck.flip(world);
    if live {
        check_rotten(world, &struck, true);
        operate(world, &struck);
        let end = world.draw_end();
        world.end(end);
    }
    for _ in 0..world.chance.between(1, 2) {
        let Some(report) = world.open() else {
            assert_eq!(struck.place, Place::Segment, "the log does not open");
            break;
        };
        check_rotten(world, &struck, report.damage.is_empty());
        operate(world, &struck);
        let end = world.draw_end();
        world.end(end);
    }
    if world.engine.is_some() {
        let end = world.draw_end();
        world.end(end);
    }
    struck.mend(world);
    world.rotten = false;
    let report = world.open().expect("the log opens");
    assert_eq!(report.damage, Vec::<String>::new(), "there is no damage any more");
    let marked = struck.stream().is_some_and(|id| is_marked(world, id));
    match marked {
        true => check_rotten(world, &struck, false),
        false => {
            world.check_states();
            world.check_bytes();
        }
    }
    !marked
}

fn is_marked(world: &World, id: StreamId) -> bool {
    let range = Range { id, from: 0, until: 1, max_bytes: 1 };
    let read = world.engine.as_ref().map(|engine| engine.read(range));
    matches!(read, Some(Err(StorageError::Corrupt(_))))
}

/// Checks all that can be told while a bit is wrong. `silent`: no damage was reported.
fn check_rotten(world: &mut World, struck: &Struck, silent: bool) {
    if world.env.is_down() {
        return;
    }
    let mut states = world.model.states.clone();
    let mut in_flight = world.unacked.iter();
    while let Some(difference) = difference(world, struck, &states, silent) {
        let Some(next) = in_flight.next() else { panic!("{difference}") };
        assert_eq!(states.apply(next), Ok(()), "what is in flight is valid");
    }
    let ids: Vec<StreamId> = world.model.tapes.keys().copied().collect();
    for id in ids {
        let is_served = states.with_id(id).is_some();
        let grows = world.unacked.iter().any(|entry| entry.id == id);
        let excused = struck.may_be_absent(id) || struck.may_be_stale(id);
        if grows || excused && !silent {
            continue;
        }
        let tolerance = match struck.may_be_corrupt(id) {
            true => Tolerance::Corrupt,
            false => Tolerance::None,
        };
        if is_served {
            world.check_all_bytes(id, tolerance);
        }
    }
}

/// How the log differs from the states in a way that the damage does not excuse.
fn difference(world: &World, struck: &Struck, states: &States, silent: bool) -> Option<String> {
    let engine = world.engine.as_ref()?;
    let listed = engine.list("", None, usize::MAX);
    for name in listed.iter().filter(|name| !states.live.contains_key(name)) {
        let excused = world
            .model
            .names
            .iter()
            .any(|(id, named)| named == name && !silent && struck.may_be_corrupt(*id));
        if !excused {
            return Some(format!("`{name}` is there"));
        }
    }
    for (name, state) in &states.live {
        let loaded = engine.load(name);
        // Another life of that name may be the damaged one.
        let lives = world.model.names.iter().filter(|(_, named)| *named == name);
        let corrupt = lives.clone().any(|(id, _)| struck.may_be_corrupt(*id)) && !silent;
        let excused = match &loaded {
            Ok(Some(found)) if found == state => true,
            Ok(Some(found)) => !silent && struck.may_be_stale(found.id),
            Ok(None) => !silent && struck.may_be_absent(state.id),
            Err(StorageError::Corrupt(_)) => corrupt,
            Err(_) => false,
        };
        if !excused {
            let loaded = loaded.map(|state| state.map(|state| (state.id, state.version)));
            let expected = (state.id, state.version);
            return Some(format!("`{name}`: {loaded:?} instead of {expected:?}; silent: {silent}"));
        }
    }
    None
}

/// Goes on working with what is not damaged.
fn operate(world: &mut World, struck: &Struck) {
    for _ in 0..world.chance.below(6) {
        match world.chance.below(4) {
            0 => world.seal(),
            1 => {
                world.file();
            }
            2 => {
                world.merge();
            }
            _ if struck.place == Place::Segment => {}
            _ => commit_to_healthy(world),
        }
    }
}

/// Appends to streams that are as they should be.
fn commit_to_healthy(world: &mut World) {
    if !world.unacked.is_empty() {
        return;
    }
    let mut entries = Vec::new();
    for (name, state) in &world.model.states.live {
        let Some(engine) = &world.engine else { return };
        if engine.load(name).ok().flatten().as_ref() == Some(state) && world.chance.one_in(2) {
            let size = world.chance.between(1, 900);
            let message: Bytes = world.chance.bytes(size);
            entries.push(append(name, state, message));
        }
    }
    world.commit(entries);
}
