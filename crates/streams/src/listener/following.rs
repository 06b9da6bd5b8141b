//! The work of a listener: find the stream, follow it, and find it again when it is lost.

use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_protocol::{Offset, ReadFrom, StreamName};
use streamkeeper_supervisor::Backoff;

use super::ListenerStatus;
use crate::{Message, Page, ReadError, Streamkeeper, Subscription, Unavailable};

/// How long to wait before a stream that could not be served is tried again.
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(20),
    max: Duration::from_secs(5),
    factor: 2.0,
    jitter: 0.5,
};

/// What the listener learns.
pub(super) enum Step {
    /// Everything before this offset is told, or was not asked for.
    At(Offset),
    Status(ListenerStatus),
    Data(Vec<Message>),
    Complete,
    Error(ReadError),
}

/// Where the listener is in its stream.
pub(super) struct Following {
    keeper: Streamkeeper,
    name: StreamName,
    page_bytes: u64,
    /// Where the next message is to be found.
    from: ReadFrom,
    /// The life of the stream that it follows, once it is known.
    life: Option<StreamId>,
    phase: Phase,
}

enum Phase {
    /// Looks for the stream, for so many times in vain.
    Looking {
        attempt: u32,
    },
    /// The stream could not be served: there is a wait before it is looked for again.
    Waiting {
        attempt: u32,
    },
    Reading(Box<Subscription>),
    Complete,
    Over,
}

impl Following {
    pub(super) fn new(
        keeper: Streamkeeper,
        name: StreamName,
        from: ReadFrom,
        page_bytes: u64,
    ) -> Self {
        let phase = Phase::Looking { attempt: 0 };
        Self { keeper, name, page_bytes, from, life: None, phase }
    }

    pub(super) fn into_steps(self) -> impl Stream<Item = Step> + Send + 'static {
        unfold(self, |mut following| async { Some((following.step().await?, following)) })
    }

    async fn step(&mut self) -> Option<Step> {
        loop {
            let step = match &mut self.phase {
                Phase::Looking { attempt } => {
                    let attempt = *attempt;
                    Some(self.look(attempt).await)
                }
                Phase::Waiting { attempt } => {
                    let attempt = *attempt;
                    self.wait(attempt).await;
                    None
                }
                Phase::Reading(subscription) => {
                    let next = subscription.next().await;
                    self.read(next)
                }
                Phase::Complete => {
                    self.phase = Phase::Over;
                    Some(Step::Complete)
                }
                Phase::Over => return None,
            };
            if step.is_some() {
                return step;
            }
        }
    }

    async fn look(&mut self, attempt: u32) -> Step {
        match self.keeper.subscribe(&self.name, self.from, self.page_bytes).await {
            Ok(found) if self.is_another_life(found.id()) => self.fail(ReadError::NotFound),
            Ok(found) => {
                self.life = Some(found.id());
                // Now means now, whatever happens before the first message.
                self.from = ReadFrom::At(found.next_offset());
                self.phase = Phase::Reading(Box::new(found));
                Step::Status(ListenerStatus::Streaming)
            }
            Err(ReadError::Unavailable(why)) if why != Unavailable::ShuttingDown => {
                self.read_without_actor(attempt).await
            }
            Err(error) => self.fail(error),
        }
    }

    /// What is durable can be read even of a stream that is kept down.
    async fn read_without_actor(&mut self, attempt: u32) -> Step {
        let page = self.keeper.read(&self.name, self.from, self.page_bytes).await;
        match page {
            Ok(page) if self.is_another_life(page.id) => self.fail(ReadError::NotFound),
            Ok(page) if !page.chunks.is_empty() || page.closed => self.deliver(&page),
            Ok(page) => {
                self.life = Some(page.id);
                self.from = ReadFrom::At(page.next_offset);
                self.lose(attempt)
            }
            Err(ReadError::Unavailable(why)) if why != Unavailable::ShuttingDown => {
                self.lose(attempt)
            }
            Err(error) => self.fail(error),
        }
    }

    async fn wait(&mut self, attempt: u32) {
        #[expect(clippy::cast_precision_loss, reason = "chance needs no precision")]
        let chance = self.keeper.draw() as f64 / u64::MAX as f64;
        tokio::select! {
            () = tokio::time::sleep(BACKOFF.delay(attempt, chance)) => {}
            () = self.keeper.closing() => {}
        }
        self.phase = Phase::Looking { attempt: attempt.saturating_add(1) };
    }

    /// What the subscription tells; `None` if that is nothing new.
    fn read(&mut self, next: Result<Option<Page>, ReadError>) -> Option<Step> {
        match next {
            Ok(Some(page)) if page.chunks.is_empty() && !page.closed => {
                Some(Step::At(page.next_offset))
            }
            Ok(Some(page)) => Some(self.deliver(&page)),
            // A closed stream is complete before its subscription ends.
            Ok(None) => Some(self.fail(Unavailable::ShuttingDown.into())),
            Err(ReadError::Unavailable(why)) if why != Unavailable::ShuttingDown => {
                // A subscription has waited for a restart already, but not looked what is readable.
                self.phase = Phase::Looking { attempt: 0 };
                Some(Step::Status(ListenerStatus::Disconnected))
            }
            Err(error) => Some(self.fail(error)),
        }
    }

    fn deliver(&mut self, page: &Page) -> Step {
        self.life = Some(page.id);
        self.from = ReadFrom::At(page.next_offset);
        if page.closed {
            self.phase = Phase::Complete;
        }
        match page.chunks.is_empty() {
            true => Step::At(page.next_offset),
            false => Step::Data(page.messages().collect()),
        }
    }

    fn is_another_life(&self, id: StreamId) -> bool {
        self.life.is_some_and(|life| life != id)
    }

    fn lose(&mut self, attempt: u32) -> Step {
        self.phase = Phase::Waiting { attempt };
        Step::Status(ListenerStatus::Disconnected)
    }

    fn fail(&mut self, error: ReadError) -> Step {
        self.phase = Phase::Over;
        Step::Error(error)
    }
}
