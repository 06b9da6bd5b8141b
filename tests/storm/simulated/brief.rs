//! Clients of streams that come and go, over HTTP.

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

/// The TTL of streams that have one.
pub(super) const TTL: Duration = Duration::from_secs(1);

/// The names of the streams that come and go, each with the TTL of all its lives.
pub(super) const NAMES: [(&str, Option<Duration>); 6] = [
    ("brief/0", None),
    ("brief/1", None),
    ("brief/ttl/0", Some(TTL)),
    ("brief/ttl/1", Some(TTL)),
    ("brief/ttl/2", Some(TTL)),
    ("brief/ttl/3", Some(TTL)),
];

/// One client of one name.
pub(super) struct Brief {
    pub(super) world: Rc<World>,
    pub(super) id: usize,
    rng: SmallRng,
    pub(super) name: &'static str,
    ttl: Option<Duration>,
    client: Client,
    pub(super) calls: Vec<Call>,
}

impl Brief {
    pub(super) fn new(world: Rc<World>, id: usize) -> Self {
        let rng = SmallRng::seed_from_u64(world.seed.wrapping_mul(31).wrapping_add(id as u64));
        let (name, ttl) = NAMES[id % NAMES.len()];
        Self { world, id, rng, name, ttl, client: Client::new(), calls: Vec::new() }
    }

    /// Does anything, until the storm is over.
    pub(super) async fn run(&mut self) {
        for i in 0.. {
            if millis() > STORM.as_millis() as i64 {
                return;
            }
            let text = format!("{}.{i};", self.id);
            let (begin, at) = (self.world.tick(), clock());
            let told = match self.rng.random_range(0..100) {
                0..20 => self.create(text).await,
                20..60 => self.append(text).await,
                60..68 => self.delete().await,
                _ => self.read().await,
            };
            let (end, until) = (self.world.tick(), clock());
            self.world.note(&format!("{} {} {told:?}", self.id, self.name));
            self.calls.push(Call { begin, end, at, until, told });
            sleep(self.pause()).await;
        }
    }

    fn pause(&mut self) -> Duration {
        let millis = match self.rng.random_range(0..100) {
            0..20 => 100..300,
            20..40 if self.ttl.is_some() => 850..1_400,
            _ => 0..40,
        };
        Duration::from_millis(self.rng.random_range(millis))
    }

    async fn create(&mut self, text: String) -> Told {
        let mut headers = vec![("content-type", "text/plain".to_owned())];
        if let Some(ttl) = self.ttl {
            headers.push(("stream-ttl", ttl.as_secs().to_string()));
        }
        if self.rng.random_ratio(1, 20) {
            headers.push(("stream-closed", "true".to_owned()));
        }
        let answer = self.client.send(Method::PUT, self.name, &headers, &text).await;
        let Some(answer) = answer else { return Told::Unknown(Some(text)) };
        match (answer.status, answer.code()) {
            (StatusCode::CREATED, _) => Told::Wrote(text, answer.position()),
            (StatusCode::OK, _) if answer.is_closed() => Told::Refused(Some(text), Seen::Closed),
            (StatusCode::OK, _) | (_, "stream_exists") => Told::Refused(Some(text), Seen::Present),
            _ => failed(&answer, Some(text)),
        }
    }

    async fn append(&mut self, text: String) -> Told {
        let mut headers = vec![("content-type", "text/plain".to_owned())];
        if self.rng.random_ratio(1, 30) {
            headers.push(("stream-closed", "true".to_owned()));
        }
        let answer = self.client.send(Method::POST, self.name, &headers, &text).await;
        let Some(answer) = answer else { return Told::Unknown(Some(text)) };
        match (answer.status, answer.code()) {
            (StatusCode::NO_CONTENT, _) => Told::Wrote(text, answer.position()),
            (_, "stream_not_found") => Told::Refused(Some(text), Seen::Absent),
            (_, "stream_closed") => Told::Refused(Some(text), Seen::Closed),
            _ => failed(&answer, Some(text)),
        }
    }

    async fn delete(&mut self) -> Told {
        let answer = self.client.send(Method::DELETE, self.name, &[], "").await;
        let Some(answer) = answer else { return Told::Unknown(None) };
        match (answer.status, answer.code()) {
            (StatusCode::NO_CONTENT, _) => Told::Deleted,
            (_, "stream_not_found") => Told::Refused(None, Seen::Absent),
            _ => failed(&answer, None),
        }
    }

    async fn read(&mut self) -> Told {
        let path = format!("{}?offset=-1", self.name);
        let answer = self.client.send(Method::GET, &path, &[], "").await;
        let Some(answer) = answer else { return Told::Unknown(None) };
        match (answer.status, answer.code()) {
            (StatusCode::OK, _) => {
                assert!(answer.is_up_to_date(), "a brief stream is small");
                let closed = answer.is_closed();
                Told::Saw(Seen::Content(answer.body, closed))
            }
            (_, "stream_not_found") => Told::Saw(Seen::Absent),
            _ => failed(&answer, None),
        }
    }
}

/// What an answer says that the server could not help.
pub(super) fn failed(answer: &Answer, text: Option<String>) -> Told {
    match answer.code() {
        "restarting" | "quarantined" | "overloaded" | "storage_full" | "shutting_down" => {
            Told::Refrained(text)
        }
        "outcome_unknown" | "storage_unavailable" | "storage_conflict" | "storage_fenced" => {
            Told::Unknown(text)
        }
        _ => panic!("{answer:?}"),
    }
}
