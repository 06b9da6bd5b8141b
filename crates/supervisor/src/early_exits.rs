//! Exits that overtake the news of their own start.
//!
//! A start runs in its own task and reports by message; the child's exit comes by the supervision
//! port, which has priority. So the supervisor may hear of an end before it heard of the beginning.
//! Exits of unknown actors are kept here for exactly as long as a start that may explain them is
//! under way.

use std::collections::{BTreeSet, HashMap};

use ractor::ActorId;

use crate::ExitReason;

#[derive(Debug, Default)]
pub(crate) struct EarlyExits {
    starts: BTreeSet<u64>,
    /// With each exit the newest start that was under way: a later one cannot explain it.
    exits: HashMap<ActorId, (u64, ExitReason)>,
}

impl EarlyExits {
    /// A start is under way; `start` grows from call to call.
    pub(crate) fn begin(&mut self, start: u64) {
        self.starts.insert(start);
    }

    /// An actor that nobody knows has ended.
    pub(crate) fn exited(&mut self, actor: ActorId, reason: ExitReason) {
        if let Some(&newest) = self.starts.last() {
            self.exits.insert(actor, (newest, reason));
        }
    }

    /// The exit of `actor`, if it came already.
    pub(crate) fn take(&mut self, actor: ActorId) -> Option<ExitReason> {
        self.exits.remove(&actor).map(|(_, reason)| reason)
    }

    /// A start is over.
    pub(crate) fn end(&mut self, start: u64) {
        self.starts.remove(&start);
        match self.starts.first() {
            None => self.exits.clear(),
            Some(&oldest) => self.exits.retain(|_, (newest, _)| *newest >= oldest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_kept_while_a_start_may_explain_it_and_no_longer() {
        let (a, b) = (ActorId::Local(1), ActorId::Local(2));
        let mut early = EarlyExits::default();
        early.exited(a, ExitReason::Killed);
        assert_eq!(early.take(a), None, "no start is under way");

        early.begin(1);
        early.begin(2);
        early.exited(a, ExitReason::Killed);
        early.exited(b, ExitReason::Normal);
        early.begin(3);
        early.end(1);
        assert_eq!(early.take(a), Some(ExitReason::Killed));
        early.end(2);
        assert_eq!(early.take(b), None, "start 3 began after b ended");
        assert!(early.exits.is_empty());
    }
}
