//! Short scripts, with the power cut at every call, and again at every call of the recovery.

use streamkeeper_protocol::stream::{Record, StreamId};
use uuid::Uuid;

use super::hunt::observe;
use super::power::End;
use super::stats::Stats;
use super::world::World;

/// How many disks, which lose different things, each place is tried on.
const DISKS: u64 = 2;

#[test]
fn creating_and_appending() {
    exhaust("creating and appending", |world| {
        if world.batch(|b| b.create("a", 10).create("b", 600)) {
            world.batch(|b| b.append("a", 2000).append("b", 1).append("a", 5));
            world.batch(|b| b.append("b", 700));
        }
    });
}

#[test]
fn filing() {
    exhaust("filing", |world| {
        if world.batch(|b| b.create("a", 10).create("b", 600).create("c", 1)) {
            world.batch(|b| b.append("a", 1000));
            world.seal_and_file();
            world.batch(|b| b.append("c", 30));
        }
    });
}

#[test]
fn merging() {
    exhaust("merging", |world| {
        if world.batch(|b| b.create("a", 10).create("b", 600)) {
            world.seal_and_file();
            if world.batch(|b| b.append("a", 100).delete("b")) {
                world.seal_and_file();
                world.merge();
                world.batch(|b| b.append("a", 30));
            }
        }
    });
}

#[test]
fn deleting_and_creating_again() {
    exhaust("deleting and creating again", |world| {
        if world.batch(|b| b.create("a", 10)) {
            world.seal_and_file();
            if world.batch(|b| b.delete("a").create("a", 700).append("a", 3)) {
                world.seal_and_file();
                world.batch(|b| b.delete("a"));
                world.merge();
            }
        }
    });
}

#[test]
fn running_full() {
    exhaust("running full", |world| {
        if world.batch(|b| b.create("a", 10)) {
            world.space(Some(900));
            world.batch(|b| b.append("a", 3000));
            world.batch(|b| b.append("a", 100));
            world.space(None);
            world.batch(|b| b.append("a", 800));
        }
    });
}

#[test]
fn running_full_in_a_rotation() {
    exhaust("running full in a rotation", |world| {
        world.options.segment_bytes = 300;
        if world.batch(|b| b.create("a", 10)) {
            world.space(Some(400));
            world.batch(|b| b.append("a", 330));
            world.space(None);
            // Into the old segment: the next rotation comes after it.
            world.batch(|b| b.append("a", 1500).append("a", 900));
        }
    });
}

#[test]
fn rotating() {
    exhaust("rotating", |world| {
        world.options.segment_bytes = 300;
        if world.batch(|b| b.create("a", 400)) {
            world.batch(|b| b.append("a", 400));
            world.batch(|b| b.append("a", 400));
        }
    });
}

#[test]
fn soft_deleting() {
    exhaust("soft deleting", |world| {
        let fork = |n| StreamId::new(Uuid::from_u128(n));
        let (one, two) = (fork(1 << 80), fork(2 << 80));
        let added = |fork| Record::ForkAdded { fork, keeps: 0 };
        if world.batch(|b| b.create("a", 10).record("a", added(one)).record("a", added(two))) {
            world.seal_and_file();
            let released = |fork| Record::ForkReleased { fork };
            if world.batch(|b| b.record("a", Record::SoftDeleted).record("a", released(one))) {
                world.batch(|b| b.record("a", released(two)).create("a", 5));
                world.seal_and_file();
            }
        }
    });
}

#[test]
fn truncating() {
    exhaust("truncating", |world| {
        if world.batch(|b| b.create("a", 100).append("a", 100)) {
            world.seal_and_file();
            if world.batch(|b| {
                b.append("a", 100).record("a", Record::Truncated { before: 250, messages: 2 })
            }) {
                world.seal_and_file();
                world.merge();
                world.batch(|b| b.append("a", 30));
            }
        }
    });
}

/// Runs a script as often as it has calls, and recoveries have calls.
fn exhaust(what: &str, script: fn(&mut World)) {
    let mut stats = Stats::default();
    let mut whole = World::new(0);
    whole.open_and_check();
    script(&mut whole);
    let calls = whole.env.syscalls();
    for at in 1..=calls + 1 {
        for end in [End::PowerLoss, End::Kill] {
            for disk in 0..DISKS {
                let mut again = 0;
                loop {
                    let cut = Cut { at, end, again, disk };
                    let (met, survived) = cut.run(what, script);
                    stats += met;
                    // The other disks see what recovers at once, and what does at some other call.
                    if again > 0 && (survived || disk > 0) {
                        break;
                    }
                    again += if disk > 0 { 1 + at % 12 } else { 1 };
                }
            }
        }
    }
    assert!(stats.power_losses > calls && stats.kills > calls, "{what}: {stats}");
}

/// Where the power is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// In which call of the script.
    at: u64,
    end: End,
    /// In which call of the recovery; 0: it is not.
    again: u64,
    disk: u64,
}

impl Cut {
    /// Whether the recovery had no such call.
    fn run(self, what: &str, script: fn(&mut World)) -> (Stats, bool) {
        let mut survived = false;
        let mut world = World::new(self.disk << 32 | self.at << 16 | self.again);
        let first = observe(&mut world, "", |world| survived = self.attempt(world, script));
        let told = first.map_err(|_| {
            let mut world = World::new(self.disk << 32 | self.at << 16 | self.again);
            world.trace = Some(Vec::new());
            let which = format!("{what}, {self:?}");
            observe(&mut world, &which, |world| {
                self.attempt(world, script);
            })
        });
        match told {
            Ok(stats) => (stats, survived),
            Err(told) => panic!("{}", told.err().unwrap_or_default()),
        }
    }

    fn attempt(self, world: &mut World, script: fn(&mut World)) -> bool {
        world.env.crash_at(self.at);
        if world.open().is_some() {
            script(world);
        }
        world.env.crash_at(0);
        world.end(self.end);
        world.space(None);
        let mut survived = false;
        if self.again > 0 {
            world.env.crash_at(self.again);
            world.open();
            world.env.crash_at(0);
            survived = world.engine.is_some();
            if survived {
                world.check_states();
            }
            let end = world.draw_end();
            world.end(end);
            // And again, somewhere.
            let third = world.chance.between(1, 10);
            world.env.crash_at(third);
            world.open();
            world.env.crash_at(0);
            if world.engine.is_some() {
                world.check_states();
            }
            world.end(End::PowerLoss);
        }
        world.open_and_check();
        world.append_to_all();
        world.end(End::PowerLoss);
        world.open_and_check();
        world.tidy();
        world.check_bytes();
        world.open_again();
        survived
    }
}
