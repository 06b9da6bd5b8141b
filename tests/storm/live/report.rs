//! What happened in a storm, in figures.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::finale::Finale;
use super::world::World;
use super::writers::Told;
use crate::kit::Fate;

impl Finale {
    /// Prints the figures.
    pub(super) fn report(&self, backend: &str, duration: Duration, world: &World) {
        let sent = || self.writers.iter().flat_map(|writer| &writer.sent);
        let written = sent().filter(|sent| matches!(sent.told, Told::Written(_))).count();
        let unknown = sent().filter(|sent| sent.told == Told::Unknown).count();
        let refused = sent().filter(|sent| sent.told == Told::Refused).count();
        let retries: u64 = self.writers.iter().map(|writer| writer.retries).sum();
        let pages: usize = self.readers.iter().map(|reader| reader.seen.len()).sum();
        let errors: u64 = self.readers.iter().map(|reader| reader.errors).sum();
        let brief: usize = self.clients.iter().map(|client| client.calls.len()).sum();
        let counts = &world.weather.counts;
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let quarantined = self.streams.iter().filter(|(fate, _)| fate.is_quarantined()).count();
        let calm = self.streams.iter().filter(|(fate, _)| *fate == Fate::Calm).count();
        let mut waits: Vec<_> = self.writers.iter().flat_map(|writer| &writer.waits).collect();
        waits.sort_unstable();
        let percentile = |p: usize| waits.get(waits.len() * p / 100).copied();
        eprintln!(
            "storm on {backend}, {duration:?}, {} writers, {} readers, {} streams ({calm} calm):\n\
             appends: {written} written, {unknown} unknown, {refused} refused; {retries} retries\n\
             reads: {pages} pages, {errors} errors; calls to brief streams: {brief}\n\
             injected: {} panics, {} kills, {} failures; loads (wake-ups, restarts): {}\n\
             exits: {:?}; {} restarts; {quarantined} quarantined and lifted\n\
             plain appends to calm streams: p50 {:?}, p99 {:?}",
            self.writers.len(),
            self.readers.len(),
            self.streams.len(),
            of(&counts.panics),
            of(&world.kills),
            of(&counts.failures),
            of(&counts.loads),
            world.book.exits(),
            world.book.restarts(),
            percentile(50),
            percentile(99),
        );
    }
}
