//! Clients of streams that last, over HTTP: idempotent producers that try until they know, and readers
//! that read until the end.

use std::rc::Rc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use super::STORM;
use super::client::{Answer, Client};
use super::server::{World, clock, millis};
use crate::kit::{Call, Seen, Told};

/// The names of the streams that last. Their fates are in the names.
pub(super) const NAMES: [&str; 12] = [
    "calm/0", "calm/1", "calm/2", "calm/3", "panics/0", "fails/0", "fails/1", "killed/0",
    "killed/1", "stops/0", "doomed/0", "cursed/0",
];

/// Writes to one stream until the storm is over, every message until it is known to be written.
pub(super) struct Producer {
    world: Rc<World>,
    id: usize,
    rng: SmallRng,
    pub(super) name: &'static str,
    client: Client,
    pub(super) calls: Vec<Call>,
}

impl Producer {
    pub(super) fn new(world: Rc<World>, id: usize) -> Self {
        let rng = SmallRng::seed_from_u64(world.seed.wrapping_mul(37).wrapping_add(id as u64));
        let name = NAMES[id % NAMES.len()];
        Self { world, id, rng, name, client: Client::new(), calls: Vec::new() }
    }

    pub(super) async fn run(&mut self) {
        self.create().await;
        for seq in 0.. {
            if millis() > STORM.as_millis() as i64 {
                break;
            }
            let text = format!("{}.{seq};", self.id);
            let (begin, at) = (self.world.tick(), clock());
            self.append(seq, &text).await;
            let (end, until) = (self.world.tick(), clock());
            let told = Told::Wrote(text, None);
            self.calls.push(Call { begin, end, at, until, told });
            sleep(Duration::from_millis(self.rng.random_range(0..400))).await;
        }
    }

    /// Several producers create the same stream: one of them does, the others confirm it.
    async fn create(&mut self) {
        let headers = [("content-type", "text/plain".to_owned())];
        loop {
            let answer = self.client.send(Method::PUT, self.name, &headers, "").await;
            self.note("create", answer.as_ref());
            if answer.is_some_and(|answer| answer.status.is_success()) {
                return;
            }
            self.wait().await;
        }
    }

    async fn append(&mut self, seq: u64, text: &str) {
        let headers = [
            ("content-type", "text/plain".to_owned()),
            ("producer-id", format!("producer-{}", self.id)),
            ("producer-epoch", "0".to_owned()),
            ("producer-seq", seq.to_string()),
        ];
        for attempt in 1.. {
            let answer = self.client.send(Method::POST, self.name, &headers, text).await;
            self.note(&format!("append {seq}"), answer.as_ref());
            match answer {
                Some(answer) if answer.status == StatusCode::OK => return,
                Some(answer) if answer.status == StatusCode::NO_CONTENT => {
                    assert!(attempt > 1, "a duplicate of nothing: {answer:?}");
                    return;
                }
                Some(answer) => unavailable(self.name, &answer),
                None => {}
            }
            self.wait().await;
        }
    }

    /// Closes the stream, so that its readers come to their end.
    pub(super) async fn close(&mut self) {
        loop {
            let headers = [("stream-closed", "true".to_owned())];
            let answer = self.client.send(Method::POST, self.name, &headers, "").await;
            self.note("close", answer.as_ref());
            if answer.is_some_and(|answer| answer.status == StatusCode::NO_CONTENT) {
                return;
            }
            self.wait().await;
        }
    }

    fn note(&self, what: &str, answer: Option<&Answer>) {
        note(&self.world, &format!("producer {} {} {what}", self.id, self.name), answer);
    }

    async fn wait(&mut self) {
        sleep(Duration::from_millis(self.rng.random_range(5..100))).await;
    }
}

/// Reads one stream by long-poll, from its beginning to its end.
pub(super) struct Reader {
    world: Rc<World>,
    id: usize,
    rng: SmallRng,
    pub(super) name: &'static str,
    client: Client,
    /// All that was read.
    pub(super) content: String,
    pub(super) calls: Vec<Call>,
}

impl Reader {
    pub(super) fn new(world: Rc<World>, id: usize) -> Self {
        let rng = SmallRng::seed_from_u64(world.seed.wrapping_mul(41).wrapping_add(id as u64));
        let name = NAMES[id % NAMES.len()];
        let (content, calls) = (String::new(), Vec::new());
        Self { world, id, rng, name, client: Client::new(), content, calls }
    }

    pub(super) async fn run(&mut self) {
        while !self.read().await {
            if self.rng.random_ratio(1, 4) {
                // Away for a while, so that the stream may fall asleep.
                sleep(Duration::from_millis(self.rng.random_range(0..800))).await;
            }
        }
    }

    /// Reads once; tells whether that was the end.
    async fn read(&mut self) -> bool {
        let (begin, at) = (self.world.tick(), clock());
        let offset = format!("{:016}_{:016}", 0, self.content.len());
        let path = format!("{}?offset={offset}&live=long-poll", self.name);
        let answer = self.client.send(Method::GET, &path, &[], "").await;
        let what = format!("reader {} {} from {}", self.id, self.name, self.content.len());
        note(&self.world, &what, answer.as_ref());
        let Some(answer) = answer else { return false };
        match (answer.status, answer.code()) {
            (StatusCode::OK, _) => {}
            (StatusCode::NO_CONTENT, _) => assert_eq!(answer.body, ""),
            // It has not been created yet.
            (_, "stream_not_found") if self.content.is_empty() => {
                sleep(Duration::from_millis(20)).await;
                return false;
            }
            _ => {
                unavailable(self.name, &answer);
                sleep(Duration::from_millis(self.rng.random_range(5..100))).await;
                return false;
            }
        }
        self.content.push_str(&answer.body);
        assert_eq!(answer.position(), Some(self.content.len() as u64), "{answer:?}");
        if answer.is_up_to_date() {
            let seen = Seen::Content(self.content.clone(), answer.is_closed());
            let (end, until) = (self.world.tick(), clock());
            self.calls.push(Call { begin, end, at, until, told: Told::Saw(seen) });
        }
        answer.is_closed()
    }
}

/// What a server may answer for a while, but never for a stream that has no faults.
fn unavailable(name: &str, answer: &Answer) {
    assert!(!name.starts_with("calm"), "{name}: {answer:?}");
    let code = answer.code();
    let quarantined = name.starts_with("doomed") || name.starts_with("cursed");
    let allowed = match code {
        "quarantined" => quarantined,
        "restarting" | "outcome_unknown" | "storage_full" => true,
        "storage_unavailable" | "storage_conflict" => true,
        _ => false,
    };
    assert!(allowed, "{name}: {answer:?}");
}

fn note(world: &World, what: &str, answer: Option<&Answer>) {
    let line = answer.map_or_else(|| "no answer".to_owned(), Answer::line);
    world.note(&format!("{what}: {line}"));
}
