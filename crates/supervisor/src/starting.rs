//! Runs a child's start function; whatever happens in it, the answer is a result.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use ractor::{ActorCell, ActorStatus};

use crate::{ChildSpec, StartError};

/// Starts a child of `supervisor`.
pub(crate) async fn start(spec: ChildSpec, supervisor: ActorCell) -> Result<ActorCell, StartError> {
    let attempt = async { (spec.start)(supervisor.clone()).await };
    let cell = AssertUnwindSafe(attempt)
        .catch_unwind()
        .await
        .unwrap_or_else(|payload| Err(StartError::panicked(payload.as_ref())))?;
    // The spec is to link its child. One that forgot is linked now; for one that already ended this
    // does nothing, and its exit has been reported.
    if cell.get_status() < ActorStatus::Draining {
        cell.link(supervisor);
    }
    Ok(cell)
}
