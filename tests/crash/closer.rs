//! Streams that are created, appended to by a producer, and closed: nothing comes after that.

use rand::Rng;

use crate::client::{Client, Request};
use crate::owners::Desk;
use crate::solo::{Content, State};
use crate::world::World;
use crate::writers::Stop;

/// Creates streams, appends to them as a producer, and closes them.
#[derive(Default)]
pub(crate) struct Closer {
    generation: u64,
    seq: u64,
    /// The last append, which may or may not be there.
    pending: Option<Closing>,
}

#[derive(Clone)]
struct Closing {
    request: Request,
    stored: Vec<u8>,
    closed: bool,
}

impl Closer {
    pub(crate) async fn step(
        &mut self,
        desk: &mut Desk,
        world: &World,
        client: &mut Client,
    ) -> Result<(), Stop> {
        let name = format!("closer/{}/{}", desk.index, self.generation);
        let State::Live(now) = world.state(&name, desk.json) else {
            self.seq = 0;
            self.pending = None;
            return desk.create(world, client, &name, None).await.map(drop);
        };
        if let Some(pending) = self.pending.clone() {
            return self.resume(desk, world, client, &name, now, pending).await;
        }
        if now.closed {
            let request = Request::new("POST", &name).body(desk.json, "\"late\"");
            let answer = desk.expect(world, client, &name, request, 409).await?;
            desk.ends_at(world, &name, &answer, now.bytes.len() as u64)?;
            self.generation += 1;
            return Ok(());
        }
        if desk.rng.random_bool(0.1) {
            let request = Request::new("POST", &name).closing();
            let next = State::Live(Content { closed: true, ..now });
            return desk.act(world, client, &name, request, 204, next).await.map(drop);
        }
        let message = desk.message(0);
        let request = Request::new("POST", &name).body(desk.json, message.body);
        let request = request.producer("closer", 0, self.seq);
        let closed = desk.rng.random_bool(0.4);
        let request = if closed { request.closing() } else { request };
        let pending = Closing { request, stored: message.stored, closed };
        self.pending = Some(pending.clone());
        self.write(desk, world, client, &name, now, pending).await
    }

    async fn write(
        &mut self,
        desk: &mut Desk,
        world: &World,
        client: &mut Client,
        name: &str,
        now: Content,
        pending: Closing,
    ) -> Result<(), Stop> {
        let bytes = [now.bytes, pending.stored].concat();
        let end = bytes.len() as u64;
        let next = State::Live(Content { bytes, closed: pending.closed });
        let answer = desk.act(world, client, name, pending.request, 200, next).await?;
        desk.ends_at(world, name, &answer, end)?;
        // Now and then it is sent once more, all the same.
        if desk.rng.random_bool(0.8) {
            self.pending = None;
            self.seq += 1;
        }
        Ok(())
    }

    /// Sends again what may be there: the server says which, and the checker knows.
    async fn resume(
        &mut self,
        desk: &mut Desk,
        world: &World,
        client: &mut Client,
        name: &str,
        now: Content,
        pending: Closing,
    ) -> Result<(), Stop> {
        if !now.bytes.ends_with(&pending.stored) {
            return self.write(desk, world, client, name, now, pending).await;
        }
        let answer = desk.expect(world, client, name, pending.request, 204).await?;
        if answer.is_closed() != now.closed {
            let what = format!("closed: {}; a duplicate is told otherwise", now.closed);
            world.solo(name, desk.json, |solo| world.violation(name, &what, solo.lines()));
            return Err(Stop);
        }
        self.pending = None;
        self.seq += 1;
        Ok(())
    }
}
