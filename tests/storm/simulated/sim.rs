//! One storm: the hosts, the driver, the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use streamkeeper::storage::Storage;
use tokio::time::sleep;

use super::brief::{self, Brief};
use super::chaos::Schedule;
use super::lasting::{self, Producer, Reader};
use super::server::{World, millis, serve};
use super::verdict::{Remains, Verdict};
use super::{STORM, brief::TTL};
use crate::kit::{Fate, name};

/// How many hosts clients are on.
const HOSTS: usize = 4;
/// How many producers, readers and clients of brief streams there are on each.
const PRODUCERS: usize = 6;
const READERS: usize = 6;
const BRIEF: usize = 6;

/// How long the whole may take, in simulated time. Only a bug comes near it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the storm of a seed, and checks it.
///
/// # Panics
///
/// Something is not as it should be.
pub(super) fn run(seed: u64) -> Verdict {
    let world = World::new(seed);
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut builder = turmoil::Builder::new();
    let mut sim = builder
        .rng_seed(seed)
        .simulation_duration(PATIENCE)
        .tick_duration(Duration::from_millis(2))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(rng.random_range(2..60)))
        .tcp_capacity(4096)
        .enable_random_order()
        .build();
    let served = world.clone();
    sim.host("server", move || serve(served.clone()));
    let hosts: Vec<String> = (0..HOSTS).map(|host| format!("clients-{host}")).collect();
    let remains = Rc::new(RefCell::new(Remains::default()));
    let writing = Rc::new(Cell::new(HOSTS));
    let living = Rc::new(Cell::new(HOSTS));
    for (i, host) in hosts.iter().enumerate() {
        let clients = clients(world.clone(), i, remains.clone(), writing.clone(), living.clone());
        sim.client(host.as_str(), clients);
    }
    sim.client("operator", operator(world.clone(), living));
    let mut schedule = Schedule::draw(&mut rng, &hosts);
    let finished = loop {
        schedule.apply(&mut sim, |line| world.lines.borrow_mut().push(line));
        if sim.step().unwrap_or_else(|error| panic!("seed {seed}: {error}")) {
            break true;
        }
    };
    assert!(finished);
    let remains = remains.take();
    Verdict::reach(&world, remains)
}

/// All clients of one host.
async fn clients(
    world: Rc<World>,
    host: usize,
    remains: Rc<RefCell<Remains>>,
    writing: Rc<Cell<usize>>,
    living: Rc<Cell<usize>>,
) -> turmoil::Result {
    let ids = |count: usize| (0..count).map(move |i| host * count + i);
    let mut producers: Vec<_> = ids(PRODUCERS).map(|id| Producer::new(world.clone(), id)).collect();
    let mut readers: Vec<_> = ids(READERS).map(|id| Reader::new(world.clone(), id)).collect();
    let mut briefs: Vec<_> = ids(BRIEF).map(|id| Brief::new(world.clone(), id)).collect();
    let write = async {
        join_all(producers.iter_mut().map(Producer::run)).await;
        writing.set(writing.get() - 1);
        // Nobody closes what another still writes to.
        while writing.get() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
        join_all(producers.iter_mut().map(Producer::close)).await;
    };
    let read = join_all(readers.iter_mut().map(Reader::run));
    let come_and_go = join_all(briefs.iter_mut().map(Brief::run));
    tokio::join!(write, read, come_and_go);
    living.set(living.get() - 1);
    remains.borrow_mut().add(producers, readers, briefs);
    Ok(())
}

/// Kills actors during the storm; then lifts quarantines, waits for the end, and shuts the system down.
async fn operator(world: Rc<World>, living: Rc<Cell<usize>>) -> turmoil::Result {
    let mut rng = SmallRng::seed_from_u64(world.seed.wrapping_mul(43));
    let killed = lasting::NAMES.iter().filter(|name| name.starts_with(Fate::Killed.prefix()));
    let victims: Vec<_> =
        killed.copied().chain(brief::NAMES.iter().map(|(name, _)| *name)).collect();
    while millis() < STORM.as_millis() as i64 {
        let victim = victims[rng.random_range(0..victims.len())];
        let keeper = world.keeper.borrow().clone();
        let hit = keeper.is_some_and(|(keeper, _)| keeper.kill(&name(victim)));
        world.note(&format!("operator kills {victim}: {hit}"));
        sleep(Duration::from_millis(rng.random_range(50..600))).await;
    }
    // The server may be about to start again.
    sleep(Duration::from_millis(500)).await;
    world.calm_down();
    let (keeper, _) = world.keeper.borrow().clone().expect("the server runs");
    while living.get() > 0 {
        for name in lasting::NAMES.map(name) {
            let lifted = keeper.lift_quarantine(&name).await;
            if lifted != Ok(false) {
                world.note(&format!("operator lifts {name}: {lifted:?}"));
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    // Streams with a TTL end by themselves, also those that are dormant.
    sleep(3 * TTL + Duration::from_secs(3)).await;
    let left = world.storage.list("brief/ttl/", None, 100).await?;
    assert!(left.is_empty(), "outlived their TTL: {left:?}");
    assert_eq!(keeper.health(), Ok(()));
    let report = keeper.shutdown(Duration::from_secs(20)).await;
    assert!(report.is_clean(), "{report:?}");
    world.note(&format!("operator shuts down: {report:?}"));
    drop(keeper);
    let weather = world.keeper.take().map(|(_, weather)| Arc::downgrade(&weather));
    assert!(weather.is_some());
    Ok(())
}
