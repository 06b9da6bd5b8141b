//! Random histories.

use super::draw;
use super::hunt;
use super::world::World;
use crate::env::sim::Syscall;

/// The calls that operations make and that may fail.
const CALLS: [Syscall; 9] = [
    Syscall::Create,
    Syscall::List,
    Syscall::Rename,
    Syscall::Remove,
    Syscall::SyncDir,
    Syscall::Read,
    Syscall::Write,
    Syscall::Sync,
    Syscall::SetLen,
];

/// Runs are short, so that many get through the early states of a log, where most can go wrong.
const STEPS: u64 = 50;

#[test]
fn nothing_is_lost_whatever_happens() {
    let stats = hunt::run("random histories", 2500, run);
    for (kind, count) in stats.each() {
        let elsewhere = ["journal_rot", "filed_rot", "corrupt_answers"].contains(&kind);
        assert!(count > 0 || elsewhere || stats.runs < 500, "no {kind} in {} runs", stats.runs);
    }
}

#[test]
fn a_seed_is_one_run() {
    let trace = || {
        let mut world = World::new(7);
        world.trace = Some(Vec::new());
        run(&mut world);
        world.trace
    };
    assert_eq!(trace(), trace());
}

/// One run.
pub(super) fn run(world: &mut World) {
    world.short_writes = world.chance.pick(&[0, 0, 2, 5]);
    world.env.set_short_writes(world.short_writes);
    world.recover();
    let steps = world.chance.between(1, STEPS);
    for _ in 0..steps {
        step(world);
        if !world.is_up() || world.chance.one_in(40) {
            world.recover();
        }
    }
    world.env.crash_at(0);
    world.space(None);
    world.recover();
    world.tidy();
    world.check_bytes();
    world.recover();
}

/// One operation, and perhaps something that goes wrong in it.
pub(super) fn step(world: &mut World) {
    match world.chance.below(40) {
        0 | 1 => {
            let nth = world.chance.between(1, 20);
            world.note(|| format!("power loss at {nth}"));
            world.env.crash_at(nth);
        }
        2 | 3 => {
            let (call, nth) = (world.chance.pick(&CALLS), world.chance.between(1, 3));
            world.with_fault(call, nth, operate);
            if world.health().is_err() {
                // Whatever is done now, nothing is acknowledged.
                operate(world);
                if world.chance.one_in(2) {
                    world.recover();
                }
            }
        }
        4 if world.tight => world.space(None),
        4 => {
            let bytes = world.chance.below(6000);
            world.space(Some(bytes));
        }
        _ => operate(world),
    }
}

fn operate(world: &mut World) {
    match world.chance.below(22) {
        20 | 21 => operate_meanwhile(world),
        0 => world.seal(),
        1 | 2 => {
            world.file();
        }
        3 => {
            world.merge();
        }
        4 => {
            world.tidy();
        }
        5..=8 => world.check_random_read(),
        9 => world.check_list(),
        10 if world.unacked.is_empty() => world.check_states(),
        _ => {
            let entries = draw::batch(&mut world.chance, &world.model.states);
            world.commit(entries);
        }
    }
}

/// Files or merges, with reads and commits in between.
fn operate_meanwhile(world: &mut World) {
    let ranges = (0..world.chance.below(3)).filter_map(|_| world.draw_range()).collect();
    let entries = draw::batch(&mut world.chance, &world.model.states);
    let merge = world.chance.one_in(2);
    world.commit_meanwhile(ranges, entries, |world| {
        if !merge || !world.merge() {
            world.file();
        }
    });
}
