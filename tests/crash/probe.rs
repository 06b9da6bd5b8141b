//! Requests to shared streams that must change nothing: duplicates, gaps, what is stale.

use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;

use crate::client::{Answer, Client, Request, content_type};
use crate::world::{World, count};

/// How many producers of a stream are tried, unless all are.
const PRODUCER_SAMPLE: usize = 2;

/// Requests that must change nothing.
pub(crate) struct Probe<'a> {
    pub(crate) world: &'a World,
    pub(crate) client: &'a mut Client,
    pub(crate) index: usize,
}

impl Probe<'_> {
    /// A duplicate is recognised, a gap and a stale epoch are refused.
    pub(crate) async fn producers(
        &mut self,
        rng: &mut SmallRng,
        thorough: bool,
    ) -> Result<(), String> {
        let producers: Vec<_> = {
            let shared = self.world.shared[self.index].lock();
            let all = shared.producers.iter().map(|(id, last)| (*id, *last));
            let some = if thorough { shared.producers.len() } else { PRODUCER_SAMPLE };
            all.choose_multiple(rng, some)
        };
        for (id, (epoch, seq)) in producers {
            let probe = self.append().producer(id, epoch, seq);
            self.expect(probe, 204, ("Producer-Seq", seq)).await?;
            let probe = self.append().producer(id, epoch, seq + 2);
            self.expect(probe, 409, ("Producer-Expected-Seq", seq + 1)).await?;
            if let Some(stale) = epoch.checked_sub(1) {
                let probe = self.append().producer(id, stale, 0);
                self.expect(probe, 403, ("Producer-Epoch", epoch)).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn sequence(&mut self) -> Result<(), String> {
        let last = self.world.shared[self.index].lock().sequence.clone();
        let Some(last) = last else { return Ok(()) };
        let answer = self.ask(self.append().header("Stream-Seq", &last)).await?;
        match answer.status {
            409 => Ok(()),
            _ => Err(format!("Stream-Seq {last} was accepted again: {}", answer.summary())),
        }
    }

    pub(crate) async fn tail(&mut self, tail: u64) -> Result<(), String> {
        let name = self.world.shared[self.index].lock().name.clone();
        self.expect(Request::new("HEAD", &name), 200, ("", 0)).await.and_then(|answer| {
            let said = answer.next_offset();
            (said == Some(tail)).then_some(()).ok_or(format!("HEAD: tail {said:?}, not {tail}"))
        })
    }

    pub(crate) async fn begin_anew(&mut self) -> Result<(), String> {
        let name = self.world.shared[self.index].lock().name.clone();
        self.expect(Request::new("DELETE", &name), 204, ("", 0)).await?;
        self.expect(Request::get(&name), 404, ("", 0)).await?;
        create(self.world, self.client, self.index).await?;
        self.world.shared[self.index].lock().reset();
        Ok(())
    }

    fn append(&self) -> Request {
        let shared = self.world.shared[self.index].lock();
        Request::new("POST", &shared.name).body(shared.json, "\"probe\"")
    }

    async fn expect(
        &mut self,
        request: Request,
        status: u16,
        (header, value): (&str, u64),
    ) -> Result<Answer, String> {
        let sent = format!("{request:?}");
        let answer = self.ask(request).await?;
        if answer.status != status || !header.is_empty() && answer.number(header) != Some(value) {
            let got = format!("{answer:?}");
            return Err(format!("{sent}: expected {status} with {header}: {value}, got {got}"));
        }
        Ok(answer)
    }

    async fn ask(&mut self, request: Request) -> Result<Answer, String> {
        count(&self.world.counts.probes);
        self.client.send(&request).await.map_err(|error| format!("{request:?}: {error}"))
    }
}

/// Creates a shared stream that is not there.
pub(crate) async fn create(world: &World, client: &mut Client, index: usize) -> Result<(), String> {
    let (name, json) = {
        let shared = world.shared[index].lock();
        (shared.name.clone(), shared.json)
    };
    let request = Request::new("PUT", &name).header("Content-Type", content_type(json));
    let answer = client.send(&request).await.map_err(|error| error.to_string())?;
    match answer.status {
        201 => Ok(()),
        _ => Err(format!("creating it: {}", answer.summary())),
    }
}
