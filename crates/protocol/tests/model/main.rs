//! The rules of streams, held against a model that is too dumb to be wrong.

#![expect(clippy::unwrap_used, reason = "a test panics")]

mod command;
mod errors;
mod lineage;
mod naive;
mod random;
mod real;
mod retention;
mod words;
