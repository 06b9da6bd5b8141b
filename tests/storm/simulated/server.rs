//! The host that serves: the system, in bad weather, behind HTTP.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use streamkeeper::storage::MemoryStorage;
use streamkeeper::{Clock, Limits, Streamkeeper, Timestamp};
use streamkeeper_http::Options;
use turmoil::net::{TcpListener, TcpStream};

use crate::kit::{Book, Climate, Journal, Weather};

/// Where it listens.
pub(super) const PORT: u16 = 4437;

/// 2030-01-01T00:00:00Z, where every storm begins.
const BEGINNING: i64 = 1_893_456_000_000;

/// How long a restart counts; short, so that streams that have crashed go dormant, too.
const PERIOD: Duration = Duration::from_secs(1);
/// Idle actors go soon.
const DORMANT_AFTER: Duration = Duration::from_millis(150);
/// Fewer than there are streams.
const AWAKE_STREAMS: usize = 8;

/// Simulated time.
#[derive(Debug, Clone, Copy)]
pub(super) struct SimClock;

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING + millis())
    }
}

/// What the clock of the simulation shows, in milliseconds.
pub(super) fn clock() -> i64 {
    SimClock.now().as_millis()
}

/// Simulated milliseconds since the beginning.
pub(super) fn millis() -> i64 {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// What the incarnations of the server, the clients and the driver of the simulation share.
pub(super) struct World {
    pub(super) seed: u64,
    /// What survives a crash of the server.
    pub(super) storage: Arc<MemoryStorage>,
    pub(super) journal: Journal,
    pub(super) book: Book,
    pub(super) ticks: Arc<AtomicU64>,
    pub(super) keeper: RefCell<Option<(Streamkeeper, Arc<Weather>)>>,
    pub(super) incarnations: Cell<u64>,
    pub(super) calm: Cell<bool>,
    pub(super) lines: RefCell<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            seed,
            storage: Arc::default(),
            journal: Journal::default(),
            book: Book::new(PERIOD),
            ticks: Arc::new(AtomicU64::new(1)),
            keeper: RefCell::default(),
            incarnations: Cell::new(0),
            calm: Cell::new(false),
            lines: RefCell::default(),
        })
    }

    /// The next tick of the common count.
    pub(super) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes a line into the transcript, with the time.
    pub(super) fn note(&self, line: &str) {
        self.lines.borrow_mut().push(format!("{} {line}", millis()));
    }

    /// The weather calms down.
    pub(super) fn calm_down(&self) {
        self.calm.set(true);
        if let Some((_, weather)) = &*self.keeper.borrow() {
            weather.calm();
        }
    }
}

/// One incarnation of the server.
pub(super) async fn serve(world: Rc<World>) -> turmoil::Result {
    let incarnation = world.incarnations.get();
    world.incarnations.set(incarnation + 1);
    let seed = world.seed.wrapping_add(incarnation << 32);
    let ticks = world.ticks.clone();
    let tick = Arc::new(move || ticks.fetch_add(1, Ordering::SeqCst));
    let climate = Climate { odds: 25, grace: 8, slowest: 30, journaled: |_| true };
    let weather = Weather::over(world.storage.clone(), seed, climate, world.journal.clone(), tick);
    if world.calm.get() {
        weather.calm();
    }
    let limits =
        Limits { dormant_after: DORMANT_AFTER, awake_streams: AWAKE_STREAMS, ..Limits::default() };
    let builder = Streamkeeper::builder().storage(weather.clone()).policy(world.book.clone());
    let keeper = builder.limits(limits).clock(SimClock).seed(seed).start().await?;
    *world.keeper.borrow_mut() = Some((keeper.clone(), weather));
    world.note(&format!("server starts, {incarnation}"));
    let options = Options { long_poll_timeout: Duration::from_secs(1), ..Options::default() };
    let app = Router::new().nest("/v1/stream", streamkeeper_http::router(keeper, options));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, app.clone()));
    }
}

async fn connection(stream: TcpStream, app: Router) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    let service = TowerToHyperService::new(app);
    // A connection that breaks is the client's to notice.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
