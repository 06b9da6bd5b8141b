//! A stream as the index holds it: asleep in one small allocation, or awake.

use std::sync::Arc;

use parking_lot::Mutex;
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamId;

use super::slot::Slot;

/// One stream. Takes little memory while it is asleep, however long it is.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) name: StreamName,
    slot: Mutex<Held>,
}

#[derive(Debug)]
enum Held {
    /// As [`Slot::encode`] writes it.
    Asleep(Box<[u8]>),
    Awake(Box<Slot>),
}

impl Stream {
    /// A stream that is asleep.
    pub(crate) fn new(id: StreamId, name: StreamName, slot: &Slot) -> Arc<Self> {
        Arc::new(Self { id, name, slot: Mutex::new(Held::Asleep(asleep(id, slot))) })
    }

    /// Looks at a stream; one that is asleep sleeps on, and what is changed of it is forgotten.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Slot) -> T) -> T {
        match &mut *self.slot.lock() {
            Held::Awake(slot) => look(slot),
            Held::Asleep(bytes) => look(&mut awake(self.id, bytes)),
        }
    }

    /// Changes a stream; one that is asleep sleeps on.
    pub(crate) fn edit<T>(&self, edit: impl FnOnce(&mut Slot) -> T) -> T {
        match &mut *self.slot.lock() {
            Held::Awake(slot) => edit(slot),
            Held::Asleep(bytes) => {
                let mut slot = awake(self.id, bytes);
                let edited = edit(&mut slot);
                *bytes = asleep(self.id, &slot);
                edited
            }
        }
    }

    /// Uses a stream, which is awake from now on; tells whether it was asleep.
    pub(super) fn wake<T>(&self, using: impl FnOnce(&mut Slot) -> T) -> (T, bool) {
        let mut held = self.slot.lock();
        let woken = match &*held {
            Held::Asleep(bytes) => {
                *held = Held::Awake(Box::new(awake(self.id, bytes)));
                true
            }
            Held::Awake(_) => false,
        };
        match &mut *held {
            Held::Awake(slot) => (using(slot), woken),
            Held::Asleep(_) => unreachable!("it was woken"),
        }
    }

    pub(super) fn sleep(&self) {
        let mut held = self.slot.lock();
        if let Held::Awake(slot) = &*held {
            *held = Held::Asleep(asleep(self.id, slot));
        }
    }
}

fn asleep(id: StreamId, slot: &Slot) -> Box<[u8]> {
    let mut buffer = Vec::with_capacity(256);
    slot.encode(id, &mut buffer);
    // Copied, so that what stays is as small as can be.
    Box::from(&buffer[..])
}

fn awake(id: StreamId, bytes: &[u8]) -> Slot {
    Slot::decode(id, bytes).unwrap_or_else(|error| {
        let mut slot = Slot::cold(&[]);
        slot.corrupt = Some(format!("what was kept in memory is unreadable: {error}"));
        slot
    })
}
