//! Listing: the names of the streams that can be read.

use futures::{StreamExt, TryStreamExt, stream};
use streamkeeper_protocol::{RESERVED_SEGMENT, StreamName};

use super::Streamkeeper;
use crate::{ListError, Unavailable};

/// How many streams a listing looks at concurrently.
const LOOKS: usize = 16;

/// A page of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The names, sorted by their bytes.
    pub names: Vec<StreamName>,
    /// What the next page comes after; `None` if there are no more. The next page may be empty.
    pub next: Option<StreamName>,
}

impl Streamkeeper {
    /// The names that begin with `prefix` and come after `after`, at most `limit` of them (at least
    /// one). Begin with `None` and go on with [`Listing::next`].
    ///
    /// Lists what can be read: no stream that was deleted or has expired, and nothing of the protocol's
    /// own (below `__ds`). Starts no actor and moves no TTL. A stream that is created or deleted
    /// meanwhile may be on the page or not.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// for name in ["chat/1", "chat/2", "orders"] {
    ///     keeper.create(&StreamName::new(name)?, CreateRequest::text()).await?;
    /// }
    /// let first = keeper.list("chat/", None, 1).await?;
    /// assert_eq!(first.names[0].as_str(), "chat/1");
    /// let second = keeper.list("chat/", first.next.as_ref(), 10).await?;
    /// assert_eq!(second.names[0].as_str(), "chat/2");
    /// assert_eq!(second.next, None);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
    ) -> Result<Listing, ListError> {
        let limit = limit.max(1);
        let mut names = Vec::new();
        let mut after = after.cloned();
        loop {
            let wanted = (limit - names.len()).max(LOOKS);
            let found = self.context.storage.list(prefix, after.as_ref(), wanted).await;
            let found = found.map_err(Unavailable::from)?;
            let is_last = found.len() < wanted;
            let mut readable = stream::iter(found)
                .map(|name| {
                    let context = self.context.clone();
                    async move {
                        let shown = !is_reserved(&name) && context.is_readable(&name).await?;
                        Ok::<_, Unavailable>((name, shown))
                    }
                })
                .buffered(LOOKS);
            while let Some((name, shown)) = readable.try_next().await? {
                after = Some(name.clone());
                if shown {
                    names.push(name);
                }
                if names.len() == limit {
                    return Ok(Listing { names, next: after });
                }
            }
            if is_last {
                return Ok(Listing { names, next: None });
            }
        }
    }
}

fn is_reserved(name: &StreamName) -> bool {
    name.as_str().split('/').next() == Some(RESERVED_SEGMENT)
}
