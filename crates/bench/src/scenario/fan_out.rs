//! Streams with many SSE subscribers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use memchr::memchr_iter;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{Settings, setup};
use crate::http::{Connection, Framing};
use crate::load::{Meter, Sample, pace};
use crate::target::Running;

/// A byte that is in every message once, and nowhere else in events.
const MARK: u8 = b'~';

/// How long a message may take to reach everybody.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many writers share the streams.
const WRITERS: usize = 16;

/// What the writer and the subscribers of a stream share.
struct Topic {
    stream: usize,
    subscribers: usize,
    /// When each message was sent, or was due.
    sent: Mutex<Vec<Instant>>,
    /// How many deliveries are still to come.
    missing: AtomicUsize,
    /// Told when none is.
    complete: Notify,
    meter: Meter,
    paced: bool,
}

/// Without a rate, a writer sends a message when every subscriber has the last one, and goes on to its
/// next stream. An operation is one delivery: from sending the append, or from when it was due, to
/// having the event.
pub(super) async fn run(
    server: &Running,
    settings: &Settings,
    streams: usize,
    subscribers: usize,
    rate: Option<u32>,
) -> io::Result<Sample> {
    let address = server.address();
    setup::streams(address, streams, setup::TEXT).await?;
    let mut readers = Vec::with_capacity(streams * subscribers);
    for index in 0..streams * subscribers {
        readers.push(setup::subscribe(address, index % streams).await?);
    }
    let writers = setup::connections(address, WRITERS.min(streams)).await?;
    let meter = Meter::start(settings.window)?;
    let topics: Vec<_> = (0..streams)
        .map(|stream| {
            Arc::new(Topic {
                stream,
                subscribers,
                sent: Mutex::default(),
                missing: AtomicUsize::new(0),
                complete: Notify::new(),
                meter: meter.clone(),
                paced: rate.is_some(),
            })
        })
        .collect();
    // Subscribers read until the writers, who hold the other end, are done.
    let (over, is_over) = watch::channel(());
    let mut workers = JoinSet::new();
    for (reader, topic) in readers.into_iter().zip(topics.iter().cycle()) {
        workers.spawn(receive(reader, topic.clone(), is_over.clone()));
    }
    let step = writers.len();
    for (first, writer) in writers.into_iter().enumerate() {
        let own: Vec<_> = topics.iter().skip(first).step_by(step).cloned().collect();
        let due = match rate {
            Some(rate) => pace::start(rate, 1, meter.until())?.pop(),
            None => None,
        };
        let over = over.clone();
        workers.spawn(async move {
            let written = match due {
                Some(due) => write_when_due(writer, &own[0], due).await,
                None => write_when_received(writer, &own).await,
            };
            drop(over);
            written
        });
    }
    drop(over);
    meter.measure(server.pid(), workers).await
}

/// Sends in turns, each message when everybody has the last one.
async fn write_when_received(mut writer: Connection, topics: &[Arc<Topic>]) -> io::Result<()> {
    let appends: Vec<_> = topics.iter().map(|topic| append(topic.stream)).collect();
    loop {
        for (topic, append) in topics.iter().zip(&appends) {
            topic.expect(Instant::now());
            writer.exchange(append).await?;
            topic.received_by_all().await?;
            if topic.meter.is_over(Instant::now()) {
                return Ok(());
            }
        }
    }
}

/// Sends each message when it is due, and waits for all in the end.
async fn write_when_due(
    mut writer: Connection,
    topic: &Topic,
    mut due: pace::Due,
) -> io::Result<()> {
    let append = append(topic.stream);
    while let Some(due) = due.recv().await {
        topic.expect(due);
        writer.exchange(&append).await?;
    }
    topic.received_by_all().await
}

async fn receive(
    (mut reader, framing): (Connection, Framing),
    topic: Arc<Topic>,
    mut is_over: watch::Receiver<()>,
) -> io::Result<()> {
    let mut next = 0;
    tokio::select! {
        biased;
        ended = reader.body(framing, |piece| topic.receive(piece, &mut next)) => {
            ended.and(Err(io::Error::other("a subscription ended")))
        }
        _ = is_over.changed() => Ok(()),
    }
}

fn append(stream: usize) -> Vec<u8> {
    let mut body = setup::MESSAGE;
    body[50] = MARK;
    setup::append(stream, setup::TEXT, &body)
}

impl Topic {
    /// A message is on its way.
    fn expect(&self, sent: Instant) {
        self.missing.fetch_add(self.subscribers, Ordering::Relaxed);
        self.sent.lock().push(sent);
    }

    /// A subscriber has some bytes; it counts its messages in `next`.
    fn receive(&self, piece: &[u8], next: &mut usize) {
        for _ in memchr_iter(MARK, piece) {
            let Some(sent) = self.sent.lock().get(*next).copied() else { continue };
            *next += 1;
            match self.paced {
                true => self.meter.count_due(sent),
                false => drop(self.meter.count(sent)),
            }
            if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.complete.notify_one();
            }
        }
    }

    async fn received_by_all(&self) -> io::Result<()> {
        loop {
            let missing = self.missing.load(Ordering::Relaxed);
            if missing == 0 {
                return Ok(());
            }
            // An old word of completion may lie here; then the loop looks again.
            if timeout(PATIENCE, self.complete.notified()).await.is_err() {
                return Err(io::Error::other(format!("{missing} deliveries did not come")));
            }
        }
    }
}
