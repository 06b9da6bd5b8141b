//! The zeros that a journal segment is prepared with: nothing was written there, and nobody misses them.

use super::power::End;
use super::world::{World, dir};
use crate::env::sim::Syscall;
use crate::journal;

/// How many disks a story is told to, where chance has a say in it.
const DISKS: u64 = 60;

/// A log with a stream and zeros behind its journal.
fn prepared(seed: u64) -> World {
    let mut world = World::new(seed);
    world.open_and_check();
    assert!(world.batch(|b| b.create("a", 100).create("b", 100)));
    assert!(zeros(&world) > 2000);
    world
}

fn path() -> std::path::PathBuf {
    journal::path(&dir().join("journal"), 0)
}

/// How many zeros are at the end of the segment that is written.
fn zeros(world: &World) -> usize {
    let bytes = world.last_journal().expect("there is a segment");
    bytes.iter().rev().take_while(|byte| **byte == 0).count()
}

fn length(world: &World) -> usize {
    world.env.read_file(&path()).expect("a segment").len()
}

#[test]
fn commits_fill_the_zeros_and_change_no_length() {
    let mut world = prepared(1);
    let before = length(&world);
    for size in [1, 100, 200] {
        world.batch(|b| b.append("a", size).append("b", 10));
        assert_eq!(length(&world), before);
    }
    // Synced with the first batch, they are there whatever happens.
    world.end(End::PowerLoss);
    assert_eq!(length(&world), before);
    assert_eq!(world.open_and_check().torn_bytes, 0);
}

#[test]
fn a_segment_that_is_not_written_any_more_has_no_zeros() {
    let mut world = prepared(1);
    let used = world.env.used();
    let left = zeros(&world) as u64;
    world.seal();
    assert!(world.env.used() < used - left + 100, "sealing gives them back");
    world.append_to_all();
    let (number, used, left) = (1, world.env.used(), zeros(&world) as u64);
    world.end(End::Kill);
    world.open_and_check();
    assert!(world.env.used() < used - left + 100, "so does opening");
    let segment = journal::path(&dir().join("journal"), number);
    let bytes = world.env.read_file(&segment).expect("a segment");
    assert_ne!(bytes.last(), Some(&0));
}

#[test]
fn a_torn_batch_is_cut_off_with_the_zeros() {
    let mut torn = 0;
    for seed in 0..DISKS {
        for (size, end) in [(90, End::PowerLoss), (1900, End::PowerLoss), (1900, End::Kill)] {
            let mut world = prepared(seed);
            world.env.crash_at(1 + seed % 2);
            world.batch(|b| b.append("a", size).append("b", size).append("a", 10));
            world.end(end);
            torn += world.open_and_check().torn_bytes;
            assert_ne!(world.env.read_file(&path()).expect("a segment").last(), Some(&0));
            world.append_to_all();
            world.end(End::PowerLoss);
            world.open_and_check();
            world.tidy();
            world.check_bytes();
        }
    }
    assert!(torn > 0);
}

/// The first batch is what the zeros come with.
#[test]
fn zeros_are_lost_and_torn_with_their_batch() {
    for seed in 0..DISKS {
        for at in 1..=4 {
            let mut world = World::new(seed);
            world.short_writes = 3;
            world.env.set_short_writes(3);
            world.open_and_check();
            world.env.crash_at(at);
            world.batch(|b| b.create("a", 1500).create("b", 100));
            world.end(End::PowerLoss);
            world.open_and_check();
            world.append_to_all();
            world.end(End::PowerLoss);
            world.open_and_check();
        }
    }
}

#[test]
fn no_commit_fails_because_zeros_do_not_fit() {
    for room in [170, 300, 1000] {
        let mut world = World::new(room);
        world.open_and_check();
        world.space(Some(room));
        assert!(world.batch(|b| b.create("a", 50)), "it fits");
        assert_eq!(zeros(&world), 0, "they did not");
        // What they would have taken is there for what needs it.
        let mut more = 0;
        while world.batch(|b| b.append("a", 20)) {
            more += 1;
        }
        assert!(more >= (room - 170) / 100, "{more} in {room} bytes");
        world.end(End::PowerLoss);
        world.open_and_check();
        world.space(None);
        assert!(world.batch(|b| b.append("a", 50)));
        assert!(zeros(&world) > 2000, "the next segment is prepared again");
        world.open_again();
    }
}

/// Zeros that are there serve a full disk.
#[test]
fn a_full_disk_takes_what_was_prepared() {
    let mut world = prepared(1);
    world.space(Some(0));
    assert!(world.batch(|b| b.append("a", 900).append("b", 900)));
    assert!(!world.batch(|b| b.append("a", 4000)), "that does not fit");
    world.end(End::PowerLoss);
    world.open_and_check();
}

#[test]
fn a_fault_while_zeros_are_written_loses_nothing() {
    for (call, nth) in [(Syscall::Write, 2), (Syscall::Sync, 1)] {
        for seed in 0..DISKS {
            let mut world = World::new(seed);
            world.open_and_check();
            world.with_fault(call, nth, |world| {
                assert!(!world.batch(|b| b.create("a", 100)), "nobody knows what is on disk");
            });
            let end = world.draw_end();
            world.end(end);
            world.open_and_check();
            world.batch(|b| b.create("b", 100));
            world.end(End::PowerLoss);
            world.open_and_check();
        }
    }
}

/// Bits rot where nothing was written, too.
#[test]
fn a_bit_among_the_zeros_is_no_damage() {
    for back in [1, 500, 1900] {
        let mut world = prepared(1);
        let at = length(&world) - back;
        world.env.flip_bit(&path(), at as u64).expect("it is in the file");
        world.append_to_all();
        world.end(End::Kill);
        assert!(world.open_and_check().torn_bytes > 0, "it passes for a torn batch");
        world.open_again();
    }
}

/// Zeros that somebody vouches for are damage: a mark does, and so does a later segment.
#[test]
fn zeros_in_the_place_of_what_was_durable_are_damage() {
    for sealed in [false, true] {
        let mut world = prepared(1);
        let from = length(&world) - zeros(&world);
        world.batch(|b| b.append("a", 300));
        let until = length(&world) - zeros(&world);
        match sealed {
            true => world.seal(),
            false => drop(world.batch(|b| b.append("b", 10))),
        }
        world.end(End::Kill);
        let mut bytes = world.env.read_file(&path()).expect("a segment");
        bytes[from..until].fill(0);
        world.env.write_file(&path(), &bytes).expect("it is written");
        world.rotten = true;
        let report = world.open().expect("it opens");
        assert!(!report.damage.is_empty(), "sealed: {sealed}");
        assert_eq!(report.torn_bytes, 0, "sealed: {sealed}");
    }
}

/// What an older version has written has no zeros; it is read, and so is what has them by one that
/// prepares nothing.
#[test]
fn with_and_without_zeros_is_one_format() {
    let mut world = prepared(1);
    for prepared_bytes in [0, 64 << 10, 0] {
        world.options.prepared_bytes = prepared_bytes;
        world.open_again();
        world.append_to_all();
        assert_eq!(zeros(&world) > 0, prepared_bytes > 0);
        world.end(End::PowerLoss);
        assert_eq!(world.open_and_check().torn_bytes, 0);
    }
}
