//! Who waits for a worker, who has one, and who waits for both to be done.

use std::collections::{BTreeSet, HashSet, VecDeque};

use streamkeeper_protocol::StreamName;
use tokio::sync::oneshot;

/// The streams that were found due, each here once, in the order in which they were found.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<StreamName>,
    known: HashSet<StreamName>,
    running: BTreeSet<StreamName>,
    /// Those that were found due while a worker was at them: it may have decided before.
    again: HashSet<StreamName>,
    /// How many may run at once.
    limit: usize,
    checks: Vec<Check>,
}

/// Somebody who waits until these streams are done with.
#[derive(Debug)]
struct Check {
    left: HashSet<StreamName>,
    reply: oneshot::Sender<()>,
}

impl Queue {
    /// A queue with these running already.
    pub(super) fn new(limit: usize, running: BTreeSet<StreamName>) -> Self {
        let known = running.iter().cloned().collect();
        Self {
            waiting: VecDeque::new(),
            known,
            running,
            again: HashSet::new(),
            limit,
            checks: Vec::new(),
        }
    }

    /// Those of them that run are to run once more.
    pub(super) fn repeat(&mut self, due: &[StreamName]) {
        let running = due.iter().filter(|name| self.running.contains(*name));
        self.again.extend(running.cloned());
    }

    /// Adds those that neither wait nor run.
    pub(super) fn add(&mut self, due: Vec<StreamName>) {
        for name in due {
            if self.known.insert(name.clone()) {
                self.waiting.push_back(name);
            }
        }
    }

    /// Tells `reply` when all that wait or run now are done with; at once if there are none.
    pub(super) fn when_done(&mut self, reply: oneshot::Sender<()>) {
        self.checks.push(Check { left: self.known.clone(), reply });
        self.tell();
    }

    /// The next to run, if one may.
    pub(super) fn next(&mut self) -> Option<StreamName> {
        if self.running.len() >= self.limit {
            return None;
        }
        let name = self.waiting.pop_front()?;
        self.running.insert(name.clone());
        Some(name)
    }

    /// A worker has ended, or could not be started.
    pub(super) fn ended(&mut self, name: &StreamName) {
        if self.running.remove(name) {
            if self.again.remove(name) {
                self.waiting.push_back(name.clone());
                return;
            }
            self.known.remove(name);
            for check in &mut self.checks {
                check.left.remove(name);
            }
            self.tell();
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn running(&self) -> Vec<StreamName> {
        self.running.iter().cloned().collect()
    }

    fn tell(&mut self) {
        for check in self.checks.extract_if(.., |check| check.left.is_empty()) {
            // Somebody who gave up needs no answer.
            let _ = check.reply.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> StreamName {
        StreamName::new(text).unwrap()
    }

    #[test]
    fn so_many_run_at_once_and_each_stream_once() {
        let mut queue = Queue::new(2, BTreeSet::from([name("old")]));
        queue.add(vec![name("old"), name("a"), name("b")]);
        queue.add(vec![name("a"), name("c")]);
        assert_eq!(queue.next(), Some(name("a")));
        assert_eq!(queue.next(), None);
        queue.ended(&name("old"));
        assert_eq!(queue.next(), Some(name("b")));
        queue.ended(&name("c"));
        assert_eq!((queue.next(), queue.waiting()), (None, 1), "what does not run cannot end");
        queue.ended(&name("a"));
        queue.add(vec![name("a")]);
        assert_eq!(queue.next(), Some(name("c")));
        assert_eq!(queue.running(), [name("b"), name("c")]);
    }

    #[test]
    fn what_is_asked_for_while_it_runs_runs_again() {
        let mut queue = Queue::new(1, BTreeSet::from([name("a")]));
        queue.repeat(&[name("a"), name("b")]);
        queue.repeat(&[name("a")]);
        let (reply, mut check) = oneshot::channel();
        queue.when_done(reply);
        queue.ended(&name("a"));
        assert!(check.try_recv().is_err(), "the first run may have begun before");
        assert_eq!(queue.next(), Some(name("a")));
        queue.ended(&name("a"));
        assert_eq!((check.try_recv(), queue.next()), (Ok(()), None));
    }

    #[test]
    fn a_check_waits_for_what_was_found_before_and_for_nothing_else() {
        let mut queue = Queue::new(9, BTreeSet::new());
        let (reply, mut idle) = oneshot::channel();
        queue.when_done(reply);
        assert_eq!(idle.try_recv(), Ok(()));
        queue.add(vec![name("a"), name("b")]);
        let (reply, mut check) = oneshot::channel();
        queue.when_done(reply);
        queue.add(vec![name("later")]);
        while queue.next().is_some() {}
        queue.ended(&name("a"));
        assert!(check.try_recv().is_err());
        queue.ended(&name("b"));
        assert_eq!(check.try_recv(), Ok(()));
    }
}
