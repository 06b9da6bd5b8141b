//! What the driver does to the network and to the server.

use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use turmoil::Sim;

use super::STORM;

/// One disturbance, and how long it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chaos {
    /// Nothing arrives, and nothing ever will, between the server and a client.
    Partition(String),
    /// Nothing arrives for now.
    Hold(String),
    /// The server is killed, with all that is not durable.
    Crash,
}

/// What happens when.
pub(super) struct Schedule {
    /// The times of beginnings and ends, in order.
    events: Vec<(Duration, bool, Chaos)>,
    clients: Vec<String>,
}

impl Schedule {
    /// Draws disturbances, all of which end with the storm.
    pub(super) fn draw(rng: &mut SmallRng, clients: &[String]) -> Self {
        let mut events = Vec::new();
        let mut add = |rng: &mut SmallRng, chaos: Chaos, longest: u64| {
            let storm = STORM.as_millis() as u64;
            let begin = rng.random_range(500..storm - longest);
            let end = begin + rng.random_range(20..longest);
            events.push((Duration::from_millis(begin), true, chaos.clone()));
            events.push((Duration::from_millis(end), false, chaos));
        };
        for client in clients {
            add(rng, Chaos::Partition(client.clone()), 3_000);
            add(rng, Chaos::Hold(client.clone()), 1_000);
        }
        for _ in 0..rng.random_range(0..3) {
            add(rng, Chaos::Crash, 800);
        }
        // Stable: what is drawn first comes first at the same time.
        events.sort_by_key(|(at, _, _)| *at);
        Self { events, clients: clients.to_vec() }
    }

    /// Does what is due.
    pub(super) fn apply(&mut self, sim: &mut Sim<'_>, mut note: impl FnMut(String)) {
        while self.events.first().is_some_and(|(at, _, _)| *at <= sim.elapsed()) {
            let (at, begins, chaos) = self.events.remove(0);
            note(format!("{} driver {chaos:?} {begins}", at.as_millis()));
            match (chaos, begins) {
                (Chaos::Partition(client), true) => sim.partition(client.as_str(), "server"),
                (Chaos::Partition(client), false) => sim.repair(client.as_str(), "server"),
                (Chaos::Hold(client), true) => sim.hold(client.as_str(), "server"),
                (Chaos::Hold(client), false) => sim.release(client.as_str(), "server"),
                // The power is cut: no connection says good-bye. (In what order they would is not decided
                // by the seed.)
                (Chaos::Crash, true) => {
                    self.clients.iter().for_each(|client| sim.partition(client.as_str(), "server"));
                    sim.crash("server");
                }
                // A second crash may have come before the end of the first.
                (Chaos::Crash, false) => {
                    sim.bounce("server");
                    self.clients.iter().for_each(|client| sim.repair(client.as_str(), "server"));
                }
            }
        }
    }
}
