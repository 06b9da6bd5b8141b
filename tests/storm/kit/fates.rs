//! What is in store for a stream: told by the first segment of its name.

use streamkeeper::StreamName;

/// What happens to a stream in the storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Nothing at all.
    Calm,
    /// Commits and loads panic, before or after they are done.
    Panics,
    /// Storage refuses, fails, or loses acknowledgements; loads and reads fail.
    Fails,
    /// The actor is killed.
    Killed,
    /// Panics, and the policy is never to restart.
    Stops,
    /// Every commit panics, until the stream is past its intensity.
    Doomed,
    /// Panics once, and the policy panics about it.
    Cursed,
    /// Lives are short: created, deleted, expired, and now and then there is a panic, a failure,
    /// a kill.
    Brief,
}

impl Fate {
    pub(crate) const ALL: [Self; 8] = [
        Self::Calm,
        Self::Panics,
        Self::Fails,
        Self::Killed,
        Self::Stops,
        Self::Doomed,
        Self::Cursed,
        Self::Brief,
    ];

    /// The first segment of the names of such streams.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Panics => "panics",
            Self::Fails => "fails",
            Self::Killed => "killed",
            Self::Stops => "stops",
            Self::Doomed => "doomed",
            Self::Cursed => "cursed",
            Self::Brief => "brief",
        }
    }

    pub(crate) fn of(name: &StreamName) -> Self {
        Self::of_text(name.as_str())
    }

    /// The fate of a stream whose name is this; [`Calm`](Self::Calm) for any other name.
    pub(crate) fn of_text(name: &str) -> Self {
        let first = name.split('/').next().unwrap_or_default();
        Self::ALL.into_iter().find(|fate| fate.prefix() == first).unwrap_or(Self::Calm)
    }

    /// Whether such a stream ends up in quarantine.
    pub(crate) fn is_quarantined(self) -> bool {
        matches!(self, Self::Doomed | Self::Cursed)
    }
}
