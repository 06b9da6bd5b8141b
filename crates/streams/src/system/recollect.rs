//! What a system that begins recollects: the streams that time alone can change.

use std::sync::Arc;

use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::stream::StreamState;

use crate::context::Context;
use crate::stream_supervisor::Touch;

/// How many names are asked for at once: a backend may sort all of them for each page.
const PAGE: usize = 65_536;

impl Context {
    /// Looks through the streams that time alone can change, which all are dormant yet.
    pub(crate) async fn recollect(self: Arc<Self>) {
        let mut after: Option<StreamName> = None;
        loop {
            let page = match self.storage.scheduled(after.as_ref(), PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "dormant streams expire only when they are looked at");
                    return;
                }
            };
            let Some(last) = page.last() else { return };
            after = Some(last.clone());
            for name in page {
                if self.closing.is_cancelled() {
                    return;
                }
                self.clone().recollect_one(name).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Looks at one stream that has no actor.
    pub(crate) async fn recollect_one(self: Arc<Self>, name: StreamName) {
        match self.storage.load(&name).await {
            Ok(Some(state)) => self.remember(&name, &state),
            Ok(None) => {}
            Err(error) => tracing::warn!(%name, %error, "a dormant stream is unreadable"),
        }
    }

    /// Keeps in mind what time will do to a dormant stream.
    fn remember(&self, name: &StreamName, state: &StreamState) {
        let touch = Touch::recovered(state, self.clock.now());
        self.deadlines.recollect(name, state, &Arc::new(touch));
    }
}
