//! Supervision as an observer sees it: real actors on real supervisors, in paused time.

mod closing;
mod dynamic;
mod probe;
mod quarantine;
mod starts;
mod static_supervisor;
