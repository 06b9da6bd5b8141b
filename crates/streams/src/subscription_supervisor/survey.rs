//! Looks up in storage where streams end: once at the beginning of a subscription, and once at each
//! start of its actor, which finds what was appended when nobody listened.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use streamkeeper_protocol::StreamName;
use streamkeeper_protocol::subscription::{Config, Pattern, Tail};
use streamkeeper_storage::{Storage, StorageError};

use crate::context::Context;

/// How many names are listed at once.
const NAMES_AT_ONCE: usize = 1000;

/// How many streams one survey looks up at once.
const LOADS_AT_ONCE: usize = 16;

/// Streams and where they end; `None`: there is no such stream.
pub(crate) type Survey = Vec<(StreamName, Option<Tail>)>;

/// Looks up the streams that match the pattern of `config`, and those that are `named`.
pub(crate) async fn survey(
    context: &Arc<Context>,
    config: Option<&Config>,
    named: BTreeSet<StreamName>,
) -> Result<Survey, StorageError> {
    let mut names = named;
    // Never closed.
    let _turn = context.subscriptions.surveys.acquire().await;
    if let Some(config) = config
        && let Some(pattern) = &config.pattern
    {
        names.extend(matching(&*context.storage, config, pattern).await?);
    }
    let look = |name: StreamName| async move {
        let state = context.storage.load(&name).await?;
        let live = state.filter(|state| !state.soft_deleted);
        Ok((name, live.map(|state| Tail { life: state.id, position: state.tail })))
    };
    // Collected first: a stream that borrows its source is not `Send` enough for a task.
    let looks: Vec<_> = names.into_iter().map(look).collect();
    stream::iter(looks).buffered(LOADS_AT_ONCE).try_collect().await
}

async fn matching(
    storage: &dyn Storage,
    config: &Config,
    pattern: &Pattern,
) -> Result<Vec<StreamName>, StorageError> {
    let prefix = pattern.literal_prefix();
    let mut found = Vec::new();
    let mut after: Option<StreamName> = None;
    loop {
        let page = storage.list(&prefix, after.as_ref(), NAMES_AT_ONCE).await?;
        let full = page.len() == NAMES_AT_ONCE;
        after = page.last().cloned();
        found.extend(page.into_iter().filter(|name| config.matches(name)));
        if !full {
            return Ok(found);
        }
    }
}
