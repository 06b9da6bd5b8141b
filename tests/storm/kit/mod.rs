//! What both storms need: a storage with bad weather, a policy that keeps a book, and the checkers.

mod book;
mod fates;
mod history;
mod lane;
mod weather;

pub(crate) use book::{Book, DOOMED_RESTARTS};
pub(crate) use fates::Fate;
pub(crate) use history::{Call, Seen, Told, check};
pub(crate) use lane::{Durable, Journal};
pub(crate) use weather::{Climate, Weather};

use std::sync::Once;

use streamkeeper::StreamName;

/// How every injected panic begins, so that it is not taken for a real one.
pub(crate) const INJECTED: &str = "injected";

/// A name that is known to be valid.
pub(crate) fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a test's name is valid")
}

/// Prepares the process: injected panics are not printed.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let injected = info.to_string().contains(INJECTED);
            if !injected {
                print(info);
            }
        }));
    });
}
