//! Watching the system: its tree, its streams as processes, its quarantine.

use streamkeeper_protocol::StreamName;

use super::Streamkeeper;
use crate::observation::{Process, QuarantinedStream, StreamInfo, StreamsPage, Tree};

impl Streamkeeper {
    /// The live supervision tree as data. Asks the top supervisor, and no stream.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// keeper.create(&StreamName::new("chat/1")?, CreateRequest::text()).await?;
    /// let tree = keeper.tree().await;
    /// assert_eq!(tree.processes[0].name, "stream_supervisor");
    /// assert_eq!(tree.streams.running, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tree(&self) -> Tree {
        let children = self.tree.which_children().await;
        Tree {
            processes: children.into_iter().map(Process::of).collect(),
            streams: self.context.registry.count(),
        }
    }

    /// A page of the streams as processes: those that are up, restarting or quarantined, sorted by
    /// name, after `after`, at most `limit` of them. Begin with `None` and go on with
    /// [`StreamsPage::next`]. Asks no actor, so it tells of one that is stuck, too.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::{CreateRequest, StreamActivity, StreamName, Streamkeeper};
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// let request = CreateRequest::text().body("hello");
    /// keeper.create(&StreamName::new("chat/1")?, request).await?;
    /// let page = keeper.streams(None, 100);
    /// assert_eq!(page.streams[0].state, StreamActivity::Running);
    /// assert_eq!(page.streams[0].bytes, Some(5));
    /// assert_eq!(page.next, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn streams(&self, after: Option<&StreamName>, limit: usize) -> StreamsPage {
        let (page, more) = self.context.registry.survey(after, limit.max(1));
        let next = page.last_key_value().filter(|_| more).map(|(name, _)| name.clone());
        let streams = page.into_iter().map(|(name, surveyed)| StreamInfo::of(name, surveyed));
        StreamsPage { streams: streams.collect(), next }
    }

    /// The streams that crashed too often and are kept down, sorted by name, each with the reason.
    /// [`lift_quarantine`](Self::lift_quarantine) brings one back.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use streamkeeper::Streamkeeper;
    ///
    /// let keeper = Streamkeeper::builder().start().await?;
    /// assert!(keeper.quarantined().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn quarantined(&self) -> Vec<QuarantinedStream> {
        let all = self.context.registry.in_quarantine().into_iter();
        all.map(|(name, reason)| QuarantinedStream { name, reason }).collect()
    }
}
