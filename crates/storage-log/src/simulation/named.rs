//! What the simulation has found, each as short as it gets. Nothing of this may come back.

use streamkeeper_protocol::stream::{Record, StreamId};
use streamkeeper_storage::{Range, StorageError};

use super::check::Tolerance;
use super::draw::name;
use super::power::End;
use super::world::{World, dir};
use crate::env::sim::Syscall;
use crate::filed::Cover;
use crate::journal;

/// How many disks a story is told to, where chance has a say in it.
const DISKS: u64 = 60;

fn each_disk(story: impl Fn(&mut World)) {
    for seed in 0..DISKS {
        let mut world = World::new(seed);
        world.open_and_check();
        story(&mut world);
    }
}

/// Opened after a SIGKILL, the log built upon a batch that was in memory only; the next power loss took
/// it from under what had been acknowledged since.
#[test]
fn what_is_replayed_is_durable_before_anything_builds_on_it() {
    each_disk(|world| {
        world.batch(|b| b.create("a", 900));
        world.env.crash_at(2);
        world.batch(|b| b.append("a", 900));
        world.end(End::Kill);
        world.open_and_check();
        world.append_to_all();
        world.end(End::PowerLoss);
        world.open_and_check();
    });
}

/// The same after a sync that failed (seed 1860): the kernel had dropped the batch, although reads saw
/// it, and syncing again did nothing and succeeded.
#[test]
fn a_sync_that_failed_is_not_made_good_by_another() {
    each_disk(|world| {
        world.batch(|b| b.create("a", 900));
        world.with_fault(Syscall::Sync, 1, |world| {
            world.batch(|b| b.append("a", 900).create("b", 900));
        });
        world.end(End::Kill);
        world.open_and_check();
        world.append_to_all();
        world.end(End::PowerLoss);
        world.open_and_check();
    });
}

/// The same for the header of a segment.
#[test]
fn a_segment_whose_header_was_not_synced_is_no_damage() {
    each_disk(|world| {
        world.batch(|b| b.create("a", 900));
        world.with_fault(Syscall::Sync, 1, |world| world.seal());
        world.end(End::Kill);
        world.open_and_check();
        world.append_to_all();
        world.end(End::PowerLoss);
        world.open_and_check();
        world.tidy();
    });
}

/// A journal segment was removed because it was filed, and then the name of the filed one was lost.
#[test]
fn the_name_of_a_filed_segment_is_durable_before_the_journal_goes() {
    each_disk(|world| {
        world.batch(|b| b.create("a", 900));
        world.seal();
        world.with_fault(Syscall::SyncDir, 1, |world| {
            world.file();
        });
        world.end(End::Kill);
        world.open_and_check();
        world.end(End::PowerLoss);
        world.open_and_check();
    });
}

/// A merged segment knew of an end, a later one did not, and the journal's record of it was skipped.
#[test]
fn an_end_that_an_older_segment_knows_of_is_an_end() {
    let mut world = World::new(1);
    world.open_and_check();
    world.batch(|b| b.create("z", 10));
    world.seal_and_file();
    for size in 1..4 {
        world.batch(|b| if size == 1 { b.create("a", 1) } else { b.append("a", size) });
        world.seal_and_file();
    }
    world.batch(|b| b.delete("a"));
    merge(&world, 1..=2);
    world.end(End::Kill);
    world.open_and_check();
}

/// The oldest segments forgot of a stream that had ended, while the journal still told of it.
#[test]
fn records_of_a_stream_that_has_ended_are_no_damage() {
    let mut world = World::new(1);
    world.open_and_check();
    world.batch(|b| b.create("a", 10));
    world.seal_and_file();
    world.batch(|b| b.append("a", 10));
    world.seal_and_file();
    world.batch(|b| b.append("a", 10).delete("a"));
    merge(&world, 0..=1);
    world.end(End::Kill);
    world.open_and_check();
}

/// A segment that did not fit came back after a crash, and made the one before it pass for sealed: its
/// torn batch was reported as damage.
#[test]
fn a_segment_that_did_not_fit_stays_away() {
    each_disk(|world| {
        world.options.segment_bytes = 300;
        world.end(End::Kill);
        world.open_and_check();
        world.space(Some(440));
        world.batch(|b| b.create("a", 300));
        world.space(None);
        world.env.crash_at(1);
        world.batch(|b| b.append("a", 2000));
        world.end(End::PowerLoss);
        world.open_and_check();
    });
}

/// A bit of the header of a segment was wrong, and the segment was removed: as one that was never
/// begun, or later, as one that was filed.
#[test]
fn a_damaged_header_loses_nothing() {
    for (at, sealed) in (0..64).flat_map(|at| [(at, false), (at, true)]) {
        let mut world = World::new(at);
        world.open_and_check();
        world.batch(|b| b.create("a", 100));
        if sealed {
            world.seal();
            world.append_to_all();
        }
        world.end(End::Kill);
        let segment = journal::path(&dir().join("journal"), 0);
        world.env.flip_bit(&segment, at).expect("it has a header");
        world.open_and_check();
        world.tidy();
        world.append_to_all();
        world.end(End::PowerLoss);
        world.open_and_check();
    }
}

/// A stream that was created in the segment that is damaged was served without its last record.
#[test]
fn the_last_record_of_a_new_stream_is_missed() {
    let mut world = World::new(1);
    world.open_and_check();
    world.batch(|b| b.create("a", 100).append("a", 200));
    world.batch(|b| b.create("b", 1));
    world.end(End::Kill);
    let segment = journal::path(&dir().join("journal"), 0);
    let bytes = world.env.read_file(&segment).expect("a segment");
    world.env.flip_bit(&segment, end_of(&bytes) - 150).expect("it is in the second record");
    world.rotten = true;
    let report = world.open().expect("it opens");
    assert_eq!(report.damage.len(), 1);
    let engine = world.engine.as_ref().expect("it is open");
    assert!(matches!(engine.load(&name("a")), Err(StorageError::Corrupt(_))));
    assert!(matches!(engine.load(&name("b")), Ok(Some(_))));
}

/// An older record was damaged, and the torn batch of another stream passed for damaged, too.
#[test]
fn a_torn_batch_behind_damage_is_cut_off() {
    each_disk(|world| {
        world.batch(|b| b.create("a", 300));
        world.batch(|b| b.create("b", 300));
        world.env.crash_at(1);
        world.batch(|b| b.append("b", 900).append("b", 900).append("b", 900));
        world.end(End::PowerLoss);
        let segment = journal::path(&dir().join("journal"), 0);
        world.env.flip_bit(&segment, 300).expect("it is in the first record");
        world.rotten = true;
        world.open().expect("it opens");
        let engine = world.engine.as_ref().expect("it is open");
        let other = engine.load(&name("b")).expect("it is served").expect("it is there");
        assert!([300, 1200, 2100, 3000].contains(&other.tail));
    });
}

/// A read of what retention has dropped, as a fork makes it of its source, panicked; and one across
/// what has been dropped had a gap.
#[test]
fn what_is_truncated_is_read_without_gap_or_panic() {
    let mut world = World::new(1);
    world.open_and_check();
    world.batch(|b| b.create("a", 50));
    world.seal_and_file();
    world.batch(|b| b.append("a", 50));
    world.seal();
    world.batch(|b| b.append("a", 100).record("a", Record::Truncated { before: 150, messages: 1 }));
    world.file();
    for _ in 0..2 {
        let id = world.model.states.live[&name("a")].id;
        assert!(world.check_all_bytes(id, Tolerance::None));
        for until in 1..200 {
            read(&world, id, until).expect("it is read");
        }
        world.end(End::Kill);
        world.open_and_check();
    }
}

/// A page that ends before the message with which it begins.
#[test]
fn a_read_of_several_messages_ends_before_it_begins() {
    let mut world = World::new(1);
    world.open_and_check();
    world.batch(|b| b.create("a", 50).append("a", 50).append("a", 50));
    world.seal_and_file();
    world.batch(|b| b.record("a", Record::Truncated { before: 120, messages: 1 }));
    let id = world.model.states.live[&name("a")].id;
    for until in 1..200 {
        read(&world, id, until).expect("it is read");
    }
}

/// A stream was marked as damaged, and so its acknowledged end was overlooked.
#[test]
fn a_damaged_stream_can_end() {
    let mut world = World::new(1);
    world.open_and_check();
    world.batch(|b| b.create("a", 100).create("b", 1));
    world.batch(|b| b.append("a", 100));
    world.seal();
    world.batch(|b| b.delete("a"));
    world.append_to_all();
    world.end(End::Kill);
    let segment = journal::path(&dir().join("journal"), 0);
    let length = world.env.read_file(&segment).expect("a segment").len() as u64;
    world.env.flip_bit(&segment, length - 10).expect("it is in the last record");
    world.rotten = true;
    world.open().expect("it opens");
    let engine = world.engine.as_ref().expect("it is open");
    assert_eq!(engine.load(&name("a")), Ok(None));
    assert_eq!(engine.list("", None, 9), [name("b")]);
}

/// The length of a damaged record was trusted (seed 2056019): where it pointed to another record, all in
/// between were skipped.
#[test]
fn records_behind_a_damaged_length_are_found() {
    for size in 1..140 {
        let mut world = World::new(1);
        world.open_and_check();
        world.batch(|b| b.create("a", 10).create("b", size).create("c", 10));
        world.batch(|b| b.append("c", 10));
        world.end(End::Kill);
        let segment = journal::path(&dir().join("journal"), 0);
        let mut bytes = world.env.read_file(&segment).expect("a segment");
        let mark = 64 + 10;
        bytes[mark] |= 64;
        bytes[mark] ^= 128;
        world.env.write_file(&segment, &bytes).expect("it is written");
        world.rotten = true;
        world.open().expect("it opens");
        let engine = world.engine.as_ref().expect("it is open");
        for innocent in ["b", "c"].map(name) {
            let state = engine.load(&innocent).expect("it is served");
            assert_eq!(state.as_ref(), world.model.states.live.get(&innocent), "size {size}");
        }
    }
}

/// A log could not be opened on a full disk. It is, serves reads, refuses commits as full, and goes on.
#[test]
fn a_full_disk_is_opened_and_read() {
    let mut world = World::new(1);
    // Else the space that is prepared would do.
    world.options.prepared_bytes = 0;
    world.open_and_check();
    world.batch(|b| b.create("a", 300).create("b", 300));
    world.seal();
    world.batch(|b| b.append("a", 300));
    world.end(End::Kill);
    world.space(Some(20));
    for _ in 0..2 {
        world.open_and_check();
        assert!(!world.batch(|b| b.append("a", 10)), "there is no space");
        world.file();
        world.check_bytes();
        world.end(End::PowerLoss);
    }
    world.open_and_check();
    world.space(None);
    assert!(world.batch(|b| b.append("a", 10)));
    world.tidy();
    world.open_again();
    assert!(world.batch(|b| b.append("b", 10)));
    world.open_again();
}

/// A merged segment whose name may be durable or not was left there (seed 89190 of `rot`), and a segment
/// that it covers was merged with another one: then there were two that overlap.
#[test]
fn no_merge_follows_one_that_is_adrift() {
    let mut world = World::new(1);
    world.open_and_check();
    world.batch(|b| b.create("a", 300).create("b", 300));
    for _ in 0..4 {
        world.append_to_all();
        world.seal_and_file();
    }
    world.with_fault(Syscall::SyncDir, 1, |world| {
        assert!(!world.merge(), "the directory is not synced");
    });
    let engine = world.engine.as_ref().expect("it is open");
    assert_eq!(engine.merge_candidates(), None);
    world.append_to_all();
    world.seal_and_file();
    world.end(End::Kill);
    world.open_and_check();
    assert!(world.merge(), "the log is opened anew");
    world.open_again();
}

/// One rotten block ended all merging. Its segment stays as it is; others are merged.
#[test]
fn segments_are_merged_without_a_rotten_one() {
    let mut world = World::new(1);
    world.options.merge_width = 2;
    world.open_and_check();
    world.batch(|b| b.create("a", 300).create("b", 300));
    world.seal_and_file();
    for _ in 0..4 {
        world.append_to_all();
        world.seal_and_file();
    }
    let rotten = Cover { first: 1, last: 1, generation: 0 }.path(&dir().join("filed"));
    world.env.flip_bit(&rotten, 32 + 12).expect("it is in the first block");
    world.rotten = true;
    while let Some(covers) = world.engine.as_ref().expect("it is open").merge_candidates() {
        let merged = world.engine.as_ref().expect("it is open").merge(&covers);
        let expected = covers.iter().all(|cover| cover.first > 1);
        assert_eq!(merged.is_ok(), expected, "{covers:?}");
    }
    let left = world.env.paths();
    assert!(left.contains(&rotten), "the evidence is kept: {left:?}");
    let filed = left.iter().filter(|path| path.extension().is_some_and(|e| e == "filed"));
    assert!(filed.count() < 5, "others are merged: {left:?}");
    let engine = world.engine.as_ref().expect("it is open");
    assert!(engine.load(&name("b")).is_ok_and(|state| state.is_some()), "b is served");
}

/// Where the bytes of a segment end behind which there are only zeros.
fn end_of(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

fn read(world: &World, id: StreamId, until: u64) -> Result<(), StorageError> {
    let engine = world.engine.as_ref().expect("it is open");
    engine.read(Range { id, from: 0, until, max_bytes: u64::MAX }).map(|_| ())
}

fn merge(world: &World, numbers: std::ops::RangeInclusive<u64>) {
    let covers: Vec<Cover> =
        numbers.map(|number| Cover { first: number, last: number, generation: 0 }).collect();
    world.engine.as_ref().expect("it is open").merge(&covers).expect("it is merged");
}
