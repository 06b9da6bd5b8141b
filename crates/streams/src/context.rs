//! What every process of one system shares.

use std::sync::Arc;

use dashmap::DashSet;
use parking_lot::{Mutex, RwLock};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use streamkeeper_protocol::stream::StreamId;
use streamkeeper_storage::Storage;
use streamkeeper_supervisor::DynamicSupervisor;
use tokio_util::sync::CancellationToken;
use uuid::Builder;

use crate::events::EventBus;
use crate::expiry_queue::Deadlines;
use crate::limits::{self, Limits, Permit, Pool};
use crate::policies::Policies;
use crate::retention_supervisor;
use crate::stream_supervisor::{Courier, Registry, StreamKey};
use crate::subscription_supervisor::Shared;
use crate::webhooks::Webhooks;
use crate::{Clock, Unavailable};

/// What every process of one system shares. Two systems share nothing.
pub(crate) struct Context {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) courier: Courier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policies: Policies,
    pub(crate) limits: Limits,
    pub(crate) registry: Registry,
    /// When dormant streams end.
    pub(crate) deadlines: Deadlines,
    pub(crate) events: EventBus,
    /// Cancelled when live readers are to end.
    pub(crate) closing: CancellationToken,
    /// The stream supervisor of the day: another one after it was restarted.
    stream_supervisor: RwLock<Option<DynamicSupervisor<StreamKey>>>,
    /// Forks whose source has given them a reference and that are not created yet.
    pub(crate) forks_on_the_way: DashSet<StreamId>,
    pub(crate) retention: retention_supervisor::Shared,
    pub(crate) subscriptions: Shared,
    pending: Arc<Pool>,
    chance: Mutex<StdRng>,
}

impl Context {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        policies: Policies,
        limits: Limits,
        webhooks: Option<Arc<dyn Webhooks>>,
        seed: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            storage,
            courier: Courier::start(),
            clock,
            policies,
            limits,
            registry: Registry::new(limits.awake_streams, seed),
            deadlines: Deadlines::default(),
            events: EventBus::default(),
            closing: CancellationToken::new(),
            stream_supervisor: RwLock::new(None),
            forks_on_the_way: DashSet::new(),
            retention: retention_supervisor::Shared::default(),
            subscriptions: Shared::new(&limits, webhooks),
            pending: limits::pool(limits.pending_bytes),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
        })
    }

    /// Takes the system's permit for a request with a body of so many bytes.
    pub(crate) fn permit(&self, bytes: usize) -> Result<Permit, Unavailable> {
        Permit::take(&self.pending, bytes)
    }

    /// Draws the id of a new life.
    pub(crate) fn draw_id(&self) -> StreamId {
        let mut random = [0; 10];
        self.chance.lock().fill_bytes(&mut random);
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        StreamId::new(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    pub(crate) fn draw_seed(&self) -> u64 {
        self.chance.lock().next_u64()
    }

    pub(crate) fn stream_supervisor(&self) -> Result<DynamicSupervisor<StreamKey>, Unavailable> {
        self.stream_supervisor.read().clone().ok_or(Unavailable::ShuttingDown)
    }

    pub(crate) fn set_stream_supervisor(&self, supervisor: DynamicSupervisor<StreamKey>) {
        *self.stream_supervisor.write() = Some(supervisor);
    }
}
