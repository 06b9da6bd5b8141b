//! Random lives of a small world: after every command the product and the model agree on everything.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use streamkeeper_protocol::stream::{Expiry, StreamState};

use crate::command::{Command, End, NAMES, commands};
use crate::naive::{Naive, World};
use crate::real::{Real, Resolved};
use crate::words::id;

/// Runs a command on both; checks that they agree; returns the word.
fn step(model: &mut World, real: &mut Real, command: &Command) -> String {
    let resolved = resolve(model, command);
    let allowed = model.run(command);
    let word = real.run(command, &resolved);
    assert!(allowed.contains(&word), "{command:?}: {word:?} is none of {allowed:?}");
    for stream in 0..NAMES.len() {
        agree(model.streams[stream].as_ref(), real.streams[stream].as_ref(), real);
    }
    word
}

fn resolve(model: &World, command: &Command) -> Resolved {
    let anchor = match command {
        Command::Create { fork: Some(from), .. } => model.anchored(from),
        _ => None,
    };
    let place = match command {
        Command::Append { name, producer: Some((who, place)), .. } => {
            let stream = model.streams[*name].clone().unwrap_or_default();
            Some(stream.place(*who, *place))
        }
        _ => None,
    };
    Resolved { anchor, place }
}

fn agree(model: Option<&Naive>, state: Option<&StreamState>, real: &Real) {
    assert_eq!(model.is_some(), state.is_some());
    let (Some(model), Some(state)) = (model, state) else { return };
    assert_eq!(state.id, id(model.life));
    assert_eq!(state.config.content_type.as_str(), model.content_type);
    let end = match state.config.expiry {
        Expiry::Never => None,
        Expiry::Ttl(ttl) => Some(End::Ttl(ttl.seconds())),
        Expiry::At(at) => Some(End::At(at.as_millis())),
    };
    assert_eq!(end, model.end.filter(|end| *end != End::Never));
    assert_eq!(state.tail, model.tail());
    assert_eq!((state.closed, state.soft_deleted), (model.closed, model.soft_deleted));
    assert_eq!(state.touched_at.as_millis(), model.used_at);
    assert_eq!(state.earliest, model.position(model.dropped));
    if model.origin.is_none() {
        assert_eq!(state.messages, model.messages.len() as u64);
    }
    let producers: BTreeMap<&str, (u64, u64)> =
        state.producers.iter().map(|(id, p)| (id.as_str(), (p.epoch, p.last_seq))).collect();
    let known = (0..2).filter_map(|who| Some((["p", "q"][who], model.last_of(who)?)));
    assert_eq!(producers, known.collect());
    assert_eq!(state.last_seq.is_some(), !model.seqs.is_empty());
    assert_eq!(state.forks.keys().copied().collect::<Vec<_>>(), {
        let mut forks: Vec<_> = model.forks.iter().map(|life| id(*life)).collect();
        forks.sort();
        forks
    });
    // Every message, with its boundaries, whoever holds it.
    let mut begin = 0;
    let expected = model.messages.iter().map(|text| {
        let message = (begin, text.as_bytes().to_vec());
        begin += text.len() as u64;
        message
    });
    let read = real.read(state).into_iter().map(|(begin, bytes)| (begin, bytes.to_vec()));
    assert_eq!(read.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    replays(state, real);
}

/// Replaying the records gives the state that lived them, but for uses that no record tells.
fn replays(state: &StreamState, real: &Real) {
    let mut replayed = None;
    for record in &real.records[&state.id] {
        StreamState::fold(&mut replayed, record);
    }
    let mut replayed = replayed.expect("it lives");
    assert!(replayed.touched_at <= state.touched_at);
    assert_eq!(replayed.version, real.records[&state.id].len() as u64);
    replayed.touch(state.touched_at);
    assert_eq!(&replayed, state);
}

/// Every life that ended replays to nothing.
fn ended_lives_are_over(real: &Real) {
    let living: Vec<_> = real.streams.iter().flatten().map(|state| state.id).collect();
    for (life, records) in &real.records {
        if !living.contains(life) {
            let mut replayed = None;
            records.iter().for_each(|record| StreamState::fold(&mut replayed, record));
            assert_eq!(replayed, None, "{records:?}");
        }
    }
}

fn live(commands: &[Command]) -> Vec<String> {
    let (mut model, mut real) = (World::default(), Real::default());
    let words = commands.iter().map(|command| step(&mut model, &mut real, command)).collect();
    ended_lives_are_over(&real);
    words
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..Default::default() })]

    #[test]
    fn the_product_and_the_model_agree(commands in commands(150)) {
        live(&commands);
    }
}

/// The worlds above are worth something only if everything happens in them.
#[test]
fn everything_happens() {
    let config = ProptestConfig { rng_seed: RngSeed::Fixed(7), ..Default::default() };
    let mut runner = TestRunner::new(config);
    let worlds = commands(150);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..300 {
        let commands = worlds.new_tree(&mut runner).unwrap().current();
        for (word, command) in live(&commands).into_iter().zip(&commands) {
            let forks = matches!(command, Command::Create { fork: Some(_), .. });
            let word = word.split([',']).next().unwrap().split(" at ").next().unwrap().to_owned();
            *seen.entry(if forks { format!("fork: {word}") } else { word }).or_default() += 1;
        }
    }
    for expected in [
        "created",
        "exists",
        "conflict",
        "taken",
        "fork: created",
        "fork: exists",
        "fork: conflict",
        "fork: no source",
        "fork: source deleted",
        "fork: other type",
        "fork: beyond tail",
        "fork: before earliest",
        "fork: misaligned",
        "fork: overshoot",
        "written",
        "duplicate",
        "stale",
        "gap",
        "epoch not",
        "closed",
        "closed already",
        "no type",
        "other type",
        "sequence regression",
        "empty",
        "gone",
        "not found",
        "deleted",
        "expired",
        "read",
    ] {
        assert!(seen.keys().any(|word| word.starts_with(expected)), "{expected}: {seen:?}");
    }
}
