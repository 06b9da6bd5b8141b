//! What can be done to a small world of streams, at random.

use proptest::prelude::*;

/// The names of the world's streams.
pub(crate) const NAMES: [&str; 4] = ["a", "b/c", "d", "e"];

/// The content types that requests give; the second is the first in other letters.
pub(crate) const TYPES: [&str; 4] =
    ["text/plain", "Text/PLAIN; charset=utf-8", "application/json", "application/octet-stream"];

/// When a stream is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    /// Seconds without a use.
    Ttl(u64),
    /// Milliseconds of the clock.
    At(i64),
}

/// A position in a source, resolved against the model when the command runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    /// None is given.
    Tail,
    /// The beginning of the n-th message, or the tail.
    Message(usize),
    /// Just some position.
    Position(u64),
}

/// A fork's headers.
#[derive(Debug, Clone)]
pub(crate) struct From {
    pub(crate) source: usize,
    pub(crate) anchor: Anchor,
    pub(crate) sub_offset: u64,
}

/// A producer's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// The one that the stream expects.
    Next,
    /// The one that it accepted last.
    Again,
    /// The first of a new epoch.
    Renewed,
    Exactly(u64, u64),
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Create {
        name: usize,
        content_type: Option<usize>,
        end: Option<End>,
        closed: bool,
        /// The first messages, before they are framed.
        body: Vec<u16>,
        fork: Option<From>,
    },
    Append {
        name: usize,
        content_type: Option<usize>,
        body: Vec<u16>,
        producer: Option<(usize, Place)>,
        seq: Option<String>,
        close: bool,
    },
    Delete {
        name: usize,
    },
    /// A read, which may or may not leave a record.
    Read {
        name: usize,
        recorded: bool,
    },
    /// Retention drops so many messages.
    Truncate {
        name: usize,
        messages: usize,
    },
    /// A sweeper looks for what has expired.
    Sweep {
        name: usize,
    },
    /// So many milliseconds pass.
    Pass(i64),
}

fn named() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

/// Every name has a type of its own, which most requests give, so that most of them fit.
fn content_type() -> impl Strategy<Value = Kind> {
    prop_oneof![
        8 => Just(Kind::Usual),
        1 => Just(Kind::Missing),
        2 => (0..TYPES.len()).prop_map(Kind::Any),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Usual,
    Missing,
    Any(usize),
}

impl Kind {
    fn of(self, name: usize) -> Option<usize> {
        match self {
            Self::Usual => Some(2 * (name % 2)),
            Self::Missing => None,
            Self::Any(kind) => Some(kind),
        }
    }
}

fn end() -> impl Strategy<Value = Option<End>> {
    prop_oneof![
        14 => Just(None),
        1 => Just(Some(End::Never)),
        2 => (0..6u64).prop_map(|seconds| Some(End::Ttl(seconds))),
        1 => (0..60_000i64).prop_map(|millis| Some(End::At(millis))),
    ]
}

fn from() -> impl Strategy<Value = From> {
    let anchor = prop_oneof![
        2 => Just(Anchor::Tail),
        4 => (0..6usize).prop_map(Anchor::Message),
        1 => (0..30u64).prop_map(Anchor::Position),
    ];
    let sub_offset = prop_oneof![3 => Just(0), 2 => 1..4u64];
    (named(), anchor, sub_offset).prop_map(|(source, anchor, sub_offset)| From {
        source,
        anchor,
        sub_offset,
    })
}

fn producer() -> impl Strategy<Value = (usize, Place)> {
    let place = prop_oneof![
        4 => Just(Place::Next),
        2 => Just(Place::Again),
        1 => (0..3u64, 0..3u64).prop_map(|(epoch, seq)| Place::Exactly(epoch, seq)),
        2 => Just(Place::Renewed),
    ];
    (0..2usize, place)
}

fn command() -> impl Strategy<Value = Command> {
    let body = || prop_oneof![1 => Just(vec![]), 6 => prop::collection::vec(0..1_000u16, 1..4)];
    let fork = prop_oneof![3 => Just(None), 2 => from().prop_map(Some)];
    let closed = || prop::bool::weighted(0.05);
    let create = (named(), content_type(), end(), closed(), body(), fork).prop_map(
        |(name, content_type, end, closed, body, fork)| {
            // A fork says its type only if it is an odd one.
            let usual = matches!(content_type, Kind::Usual) && fork.is_some();
            let content_type = content_type.of(name).filter(|_| !usual);
            Command::Create { name, content_type, end, closed, body, fork }
        },
    );
    let seq = prop::option::weighted(0.3, "[a-c]{1,2}");
    let producer = prop::option::weighted(0.5, producer());
    let append = (named(), content_type(), body(), producer, seq, closed()).prop_map(
        |(name, content_type, body, producer, seq, close)| Command::Append {
            name,
            content_type: content_type.of(name),
            body,
            producer,
            seq,
            close,
        },
    );
    prop_oneof![
        9 => create,
        14 => append,
        1 => named().prop_map(|name| Command::Delete { name }),
        1 => (named(), any::<bool>()).prop_map(|(name, recorded)| Command::Read { name, recorded }),
        1 => (named(), 0..4usize).prop_map(|(name, messages)| Command::Truncate { name, messages }),
        1 => named().prop_map(|name| Command::Sweep { name }),
        1 => (0..1_500i64).prop_map(Command::Pass),
    ]
}

/// A life of the world. Now and then somebody does again what was done before.
pub(crate) fn commands(most: usize) -> impl Strategy<Value = Vec<Command>> {
    let again = prop::option::weighted(0.15, any::<prop::sample::Index>());
    prop::collection::vec((command(), again), most / 2..=most).prop_map(|chosen| {
        let mut commands: Vec<Command> = Vec::new();
        for (command, again) in chosen {
            let earlier = again.filter(|_| !commands.is_empty());
            let earlier = earlier.map(|index| index.get(&commands).clone());
            commands.push(earlier.unwrap_or(command));
        }
        commands
    })
}
