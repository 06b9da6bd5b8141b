//! What is left of a simulated storm, and whether it is as it should be.

use streamkeeper::supervisor::Verdict as Decided;
use streamkeeper_protocol::stream::Record;

use super::brief::{self, Brief};
use super::lasting::{self, Producer, Reader};
use super::server::World;
use crate::kit::{Call, DOOMED_RESTARTS, Durable, Fate, Told, check, name};

/// The clients, when they are done.
#[derive(Default)]
pub(super) struct Remains {
    producers: Vec<Producer>,
    readers: Vec<Reader>,
    briefs: Vec<Brief>,
}

/// A storm that was as it should be.
pub(super) struct Verdict {
    /// Every answer, with its time.
    pub(super) lines: Vec<String>,
    appends: usize,
    brief: usize,
    durable: usize,
    exits: String,
    incarnations: u64,
}

impl Remains {
    pub(super) fn add(
        &mut self,
        producers: Vec<Producer>,
        readers: Vec<Reader>,
        briefs: Vec<Brief>,
    ) {
        self.producers.extend(producers);
        self.readers.extend(readers);
        self.briefs.extend(briefs);
    }
}

impl Verdict {
    /// Holds what clients were told against what became durable.
    pub(super) fn reach(world: &World, remains: Remains) -> Self {
        let journal = world.journal.lock().clone();
        let of = |wanted: &str| -> Vec<&Durable> {
            let wanted = name(wanted);
            journal.iter().filter(|durable| durable.entry.name == wanted).collect()
        };
        for lasting in lasting::NAMES {
            let entries = of(lasting);
            let producers = remains.producers.iter().filter(|p| p.name == lasting);
            let readers = remains.readers.iter().filter(|reader| reader.name == lasting);
            let calls: Vec<Call> = producers
                .flat_map(|producer| producer.calls.clone())
                .chain(readers.clone().flat_map(|reader| reader.calls.clone()))
                .collect();
            check(None, &entries, &calls);
            let content = content(&entries);
            for reader in readers {
                assert_eq!(reader.content, content, "{lasting}: a reader has missed something");
            }
            let written = calls.iter().filter(|call| matches!(call.told, Told::Wrote(..))).count();
            assert_eq!(content.matches(';').count(), written, "{lasting}: more than was sent");
            check_book(world, lasting);
        }
        for (brief, ttl) in brief::NAMES {
            let clients = remains.briefs.iter().filter(|client| client.name == brief);
            let calls: Vec<Call> = clients.flat_map(|client| client.calls.clone()).collect();
            check(ttl, &of(brief), &calls);
        }
        let appends = remains.producers.iter().map(|producer| producer.calls.len()).sum();
        let mut lines = world.lines.take();
        lines.extend(journal.iter().map(|durable| format!("{durable:?}")));
        Self {
            lines,
            appends,
            brief: remains.briefs.iter().map(|client| client.calls.len()).sum(),
            durable: journal.len(),
            exits: format!("{:?}", world.book.exits()),
            incarnations: world.incarnations.get(),
        }
    }

    /// The storm in one line.
    pub(super) fn figures(&self) -> String {
        let Self { lines, appends, brief, durable, exits, incarnations } = self;
        format!(
            "{appends} messages exactly once, {brief} calls to brief streams, {durable} records, \
             exits {exits}, {incarnations} incarnations, {} lines alike",
            lines.len()
        )
    }
}

fn content(entries: &[&Durable]) -> String {
    let batches = entries.iter().filter_map(|durable| durable.entry.record.batch());
    let bytes = batches.flat_map(|batch| batch.payload().to_vec()).collect();
    let deleted = entries.iter().any(|durable| matches!(durable.entry.record, Record::Deleted));
    assert!(!deleted, "nobody deletes these");
    String::from_utf8(bytes).expect("texts are written")
}

/// The policy was asked about those streams only that have faults, and was obeyed. The supervisor's
/// memory ends with each incarnation of the server.
fn check_book(world: &World, name: &str) {
    for line in world.book.lines(name) {
        let restart = |verdict| matches!(verdict, Some(Decided::Restart { .. }));
        let as_configured = match Fate::of_text(name) {
            Fate::Calm => false,
            Fate::Cursed => line.verdict.is_none(),
            Fate::Stops => line.verdict == Some(Decided::Stop),
            Fate::Doomed if line.restarts == DOOMED_RESTARTS => {
                line.verdict == Some(Decided::Quarantine)
            }
            _ => restart(line.verdict),
        };
        assert!(as_configured, "{name}: {line:?}");
    }
}
