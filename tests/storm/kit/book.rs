//! The restart policy of the storm: decides by a stream's fate, and keeps a book of what it was asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use streamkeeper::supervisor::{
    Backoff, Incident, Intensity, RestartPolicy, StandardPolicy, Verdict,
};

use super::{Fate, INJECTED};

/// How many restarts a doomed stream is granted before its quarantine.
pub(crate) const DOOMED_RESTARTS: u32 = 3;

/// Every incident, by the name of the stream: the kind of the exit, and the verdict.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    lines: Arc<Mutex<BTreeMap<String, Vec<Line>>>>,
    period: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) exit: &'static str,
    /// How many restarts the supervisor counted before.
    pub(crate) restarts: u32,
    /// `None` if the policy panicked.
    pub(crate) verdict: Option<Verdict>,
}

impl RestartPolicy for Book {
    fn decide(&self, incident: &Incident<'_>) -> Verdict {
        let fate = Fate::of_text(incident.child);
        let verdict = (fate != Fate::Cursed).then(|| self.policy(fate).decide(incident));
        let restarts = incident.restarts_in_period;
        let line = Line { exit: incident.exit.kind(), restarts, verdict };
        self.lines.lock().entry(incident.child.to_owned()).or_default().push(line);
        verdict.unwrap_or_else(|| panic!("{INJECTED}: the policy panics"))
    }

    fn intensity(&self) -> Intensity {
        Intensity::new(1_000_000, self.period)
    }
}

impl Book {
    /// A book of policies whose restarts count for so long. A stream that has crashed does not go dormant
    /// meanwhile.
    pub(crate) fn new(period: Duration) -> Self {
        Self { lines: Arc::default(), period }
    }

    fn policy(&self, fate: Fate) -> StandardPolicy {
        let backoff = Backoff { max: Duration::from_millis(20), ..Backoff::default() };
        match fate {
            Fate::Stops => StandardPolicy::temporary(),
            Fate::Doomed => StandardPolicy::transient().intensity(DOOMED_RESTARTS, self.period),
            _ => StandardPolicy::transient().intensity(1_000_000, self.period),
        }
        .backoff(backoff)
    }

    /// The incidents of a stream so far.
    pub(crate) fn lines(&self, name: &str) -> Vec<Line> {
        self.lines.lock().get(name).cloned().unwrap_or_default()
    }

    /// How many incidents there were, by the kind of the exit.
    pub(crate) fn exits(&self) -> BTreeMap<&'static str, u64> {
        let mut exits = BTreeMap::new();
        for line in self.lines.lock().values().flatten() {
            *exits.entry(line.exit).or_default() += 1;
        }
        exits
    }

    /// How many restarts there were.
    pub(crate) fn restarts(&self) -> usize {
        let restarted = |line: &&Line| matches!(line.verdict, Some(Verdict::Restart { .. }));
        self.lines.lock().values().flatten().filter(restarted).count()
    }

    /// Holds the incidents of a stream, none of them after its quarantine was lifted, against its fate.
    ///
    /// # Panics
    ///
    /// They do not agree: a sibling was disturbed, or a quarantine is not as configured.
    pub(crate) fn check(&self, name: &str) {
        let lines = self.lines(name);
        let verdicts: Vec<_> = lines.iter().map(|line| line.verdict).collect();
        let restart = |verdict: &Option<Verdict>| matches!(verdict, Some(Verdict::Restart { .. }));
        let as_configured = match Fate::of_text(name) {
            Fate::Calm => lines.is_empty(),
            Fate::Stops => verdicts.iter().all(|verdict| *verdict == Some(Verdict::Stop)),
            Fate::Cursed => verdicts == [None],
            // There may be restarts that no longer counted.
            Fate::Doomed => {
                let (last, before) = lines.split_last().expect("a doomed stream has crashed");
                before.iter().all(|line| line.restarts < DOOMED_RESTARTS && restart(&line.verdict))
                    && before.len() >= DOOMED_RESTARTS as usize
                    && last.restarts == DOOMED_RESTARTS
                    && last.verdict == Some(Verdict::Quarantine)
            }
            Fate::Panics | Fate::Fails | Fate::Killed | Fate::Brief => verdicts.iter().all(restart),
        };
        assert!(as_configured, "{name}: {lines:?}");
    }
}
