//! A source, a fork of it and a fork of the fork; then they are deleted in some order, and the name
//! of the source must become free again. Once more from the beginning, under the same name.

use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::time::Instant;

use crate::client::{Client, Request, content_type, offset};
use crate::owners::Desk;
use crate::solo::{Content, State, Step};
use crate::world::World;
use crate::writers::Stop;

/// How long the name of a source may stay taken after its last fork is gone, while the server is up.
const FREE_WITHIN: Duration = Duration::from_secs(20);

/// Where the family's life stands. A step whose outcome is unknown is looked at after the restart.
#[derive(Default)]
pub(crate) struct Family {
    generation: u64,
    stage: Stage,
    /// Where the messages of the source end that have been acknowledged.
    ends: Vec<u64>,
    /// Where the child branches off, perhaps inside a message.
    point: u64,
    /// How long the source's name has been taken without a reason, while the server was up.
    waited: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Source,
    Grow,
    Child,
    Diverge,
    Grandchild,
    /// The source is deleted, and soft-deleted by that.
    Orphan,
    Read,
    /// The forks are deleted, the elder first or last.
    ElderFirst,
    YoungerLast,
    YoungerFirst,
    ElderLast,
    Free,
}

struct Names {
    source: String,
    child: String,
    grandchild: String,
}

impl Family {
    /// Whether it waits for the source's name to become free.
    pub(crate) fn waits(&self) -> bool {
        self.stage == Stage::Free
    }

    pub(crate) async fn step(
        &mut self,
        desk: &mut Desk,
        world: &World,
        client: &mut Client,
    ) -> Result<(), Stop> {
        let (index, generation) = (desk.index, self.generation);
        let names = Names {
            source: format!("family/{index}/source"),
            child: format!("family/{index}/{generation}/child"),
            grandchild: format!("family/{index}/{generation}/grandchild"),
        };
        let live = |name: &str| match world.state(name, desk.json) {
            State::Live(content) => Some(content),
            _ => None,
        };
        let (source, child) = (live(&names.source), live(&names.child));
        let grandchild = live(&names.grandchild);
        self.stage = match (self.stage, source, child, grandchild) {
            (Stage::Source, None, ..) => {
                let answer = desk.create(world, client, &names.source, None).await?;
                self.ends = vec![answer.next_offset().unwrap_or_default()];
                Stage::Grow
            }
            // It was created, and nobody was told.
            (Stage::Source, Some(source), ..) => {
                self.ends = vec![source.bytes.len() as u64];
                Stage::Grow
            }
            (Stage::Grow, Some(source), ..) => {
                let answer = desk.append(world, client, &names.source, source).await?;
                self.ends.extend(answer.next_offset());
                if desk.rng.random_bool(0.3) { Stage::Child } else { Stage::Grow }
            }
            (Stage::Child, Some(source), None, _) => {
                self.fork(desk, world, client, &names.source, &source, &names.child).await?;
                Stage::Diverge
            }
            (Stage::Diverge, Some(source), Some(child), _) => {
                desk.append(world, client, &names.child, child).await?;
                desk.append(world, client, &names.source, source).await?;
                Stage::Grandchild
            }
            (Stage::Grandchild, _, Some(child), None) => {
                self.fork(desk, world, client, &names.child, &child, &names.grandchild).await?;
                Stage::Orphan
            }
            (Stage::Orphan, Some(_), Some(child), Some(grandchild)) => {
                desk.append(world, client, &names.grandchild, grandchild).await?;
                desk.append(world, client, &names.child, child).await?;
                let request = Request::new("DELETE", &names.source);
                desk.act(world, client, &names.source, request, 204, State::Gone).await?;
                Stage::Read
            }
            (Stage::Read, ..) => {
                world.look(client, &names.source).await?;
                world.look(client, &names.child).await?;
                world.look(client, &names.grandchild).await?;
                let request = Request::new("PUT", &names.source);
                let request = request.header("Content-Type", content_type(desk.json));
                desk.expect(world, client, &names.source, request, 409).await?;
                if desk.rng.random_bool(0.5) { Stage::ElderFirst } else { Stage::YoungerFirst }
            }
            (Stage::ElderFirst, _, Some(_), _) => {
                self.delete(desk, world, client, &names.child, State::Gone, &[]).await?;
                Stage::YoungerLast
            }
            (Stage::YoungerLast, _, _, Some(_)) => {
                let along = [
                    (names.source.as_str(), State::Settling),
                    (names.child.as_str(), State::Settling),
                ];
                self.delete(desk, world, client, &names.grandchild, State::Absent, &along).await?;
                Stage::Free
            }
            (Stage::YoungerFirst, _, _, Some(_)) => {
                self.delete(desk, world, client, &names.grandchild, State::Absent, &[]).await?;
                Stage::ElderLast
            }
            (Stage::ElderLast, _, Some(_), _) => {
                // The child is soft-deleted for a moment if its own fork has not let go yet.
                let along = [(names.source.as_str(), State::Settling)];
                self.delete(desk, world, client, &names.child, State::Settling, &along).await?;
                Stage::Free
            }
            (Stage::Free, ..) => self.free(desk, world, client, &names).await?,
            // What was to be done was done, and nobody was told.
            (Stage::Child, ..) => Stage::Diverge,
            (Stage::Grandchild, ..) => Stage::Orphan,
            (Stage::Orphan, None, ..) => Stage::Read,
            (Stage::ElderFirst, ..) => Stage::YoungerLast,
            (Stage::YoungerFirst, ..) => Stage::ElderLast,
            (Stage::YoungerLast | Stage::ElderLast, ..) => Stage::Free,
            (Stage::Grow | Stage::Diverge | Stage::Orphan, ..) => {
                let what = format!("{:?}: a stream of the family is not there", self.stage);
                world.solo(&names.source, desk.json, |solo| {
                    world.violation(&names.source, &what, solo.lines());
                });
                return Err(Stop);
            }
        };
        Ok(())
    }

    /// Forks a stream somewhere: at its tail, at an offset, or past an offset.
    async fn fork(
        &mut self,
        desk: &mut Desk,
        world: &World,
        client: &mut Client,
        source: &str,
        content: &Content,
        fork: &str,
    ) -> Result<(), Stop> {
        let tail = content.bytes.len() as u64;
        let mut request = Request::new("PUT", fork);
        request = request.header("Stream-Forked-From", format!("/v1/stream/{source}"));
        let mut point = tail;
        if desk.rng.random_bool(0.8) {
            // What the child inherits ends where it branches off, though the source goes on.
            let inherited = if source.ends_with("/child") { self.point } else { tail };
            let within = self.ends.iter().copied().filter(|end| *end < inherited);
            let anchors: Vec<u64> = within.chain([0]).collect();
            let anchor = anchors.choose(&mut desk.rng).copied().unwrap_or_default();
            let (sub, end) = sub_offset(desk, &content.bytes[..inherited as usize], anchor);
            request = request.header("Stream-Fork-Offset", offset(anchor));
            request = request.header("Stream-Fork-Sub-Offset", sub);
            point = end;
        }
        if fork.ends_with("/child") {
            self.point = point;
        }
        let bytes = content.bytes[..point as usize].to_vec();
        let next = State::Live(Content { bytes, closed: false });
        let answer = desk.act(world, client, fork, request, 201, next).await?;
        desk.ends_at(world, fork, &answer, point)
    }

    async fn delete(
        &self,
        desk: &Desk,
        world: &World,
        client: &mut Client,
        name: &str,
        next: State,
        along: &[(&str, State)],
    ) -> Result<(), Stop> {
        let request = Request::new("DELETE", name);
        let step = Step { name, request, accept: 204, next, along };
        world.act(client, desk.json, step).await.map(drop)
    }

    /// Waits until the source's name is free.
    async fn free(
        &mut self,
        desk: &mut Desk,
        world: &World,
        client: &mut Client,
        names: &Names,
    ) -> Result<Stage, Stop> {
        let began = Instant::now();
        world.look(client, &names.grandchild).await?;
        world.look(client, &names.child).await?;
        world.look(client, &names.source).await?;
        if world.state(&names.source, desk.json) == State::Absent {
            self.generation += 1;
            self.waited = Duration::ZERO;
            return Ok(Stage::Source);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.waited += began.elapsed();
        if self.waited > FREE_WITHIN {
            let what = format!("its forks are gone, its name is not free after {:?}", self.waited);
            world.solo(&names.source, desk.json, |solo| {
                world.violation(&names.source, &what, solo.lines());
            });
            return Err(Stop);
        }
        Ok(Stage::Free)
    }
}

/// A sub-offset at an anchor, and the position that both name together: for JSON it counts messages,
/// otherwise bytes of the message at the anchor.
fn sub_offset(desk: &mut Desk, bytes: &[u8], anchor: u64) -> (u64, u64) {
    let rest = &bytes[anchor as usize..];
    let last = if desk.json { b"},".as_slice() } else { b";".as_slice() };
    let ends = rest.windows(last.len()).enumerate().filter(|(_, window)| *window == last);
    let ends: Vec<u64> = ends.map(|(at, _)| anchor + (at + last.len()) as u64).collect();
    if !desk.json {
        let end = ends.first().copied().unwrap_or(bytes.len() as u64);
        let sub = desk.rng.random_range(0..=end - anchor);
        return (sub, anchor + sub);
    }
    let sub = desk.rng.random_range(0..=ends.len().min(3));
    (sub as u64, sub.checked_sub(1).map_or(anchor, |last| ends[last]))
}
