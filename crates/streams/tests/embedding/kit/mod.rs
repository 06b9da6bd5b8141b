//! What every test needs: a scripted storage, a clock, and short words for the API.

mod clock;
mod faults;
mod scripted;
mod words;

pub(crate) use clock::TestClock;
pub(crate) use faults::{Fault, ReadFault, kind, when};
pub(crate) use scripted::Scripted;
pub(crate) use words::*;
