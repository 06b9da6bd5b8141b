//! Looks at a stream without starting its actor.

use streamkeeper_protocol::StreamName;
use streamkeeper_storage::StorageError;

use super::touch::Touch;
use crate::context::Context;

impl Context {
    /// Whether there is a stream of that name that can be read: neither deleted nor expired.
    pub(crate) async fn is_readable(&self, name: &StreamName) -> Result<bool, StorageError> {
        let now = self.clock.now();
        if let Some(handle) = self.registry.peek(name) {
            let view = handle.view();
            return Ok(view.live().is_some_and(|live| !handle.is_expired(live, now)));
        }
        let Some(state) = self.storage.load(name).await? else { return Ok(false) };
        // As its actor would see it when it takes the stream up.
        let noted = self.deadlines.touch(name, state.id);
        let latest = match &noted {
            Some(touch) => touch.latest(),
            None => Touch::recovered(&state, now).latest(),
        };
        let deadline = state.config.expiry.deadline(state.touched_at.max(latest));
        Ok(!state.soft_deleted && deadline.is_none_or(|deadline| deadline > now))
    }
}
