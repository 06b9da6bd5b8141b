//! The supervisor of retention: sees to it that streams drop what their policies let go.
//!
//! ```text
//! agenda      when each stream that has a policy is due; its actor keeps it true, asleep or not
//! scheduler   looks at the agenda every now and then, and starts a worker for each stream that is due
//! worker      finds the cut by reading from storage, and asks the stream's actor to truncate there
//! ```

mod agenda;
mod compaction;
mod ledger;
mod queue;
pub(crate) mod scheduler;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use ractor::{ActorCell, ActorRef};
use streamkeeper_protocol::StreamName;
use streamkeeper_supervisor::{
    ChildSpec, DynamicSupervisor, Event, Intensity, NoObserver, Observer, StandardPolicy,
    StartError, Strategy, Supervisor, SupervisorFlags,
};
use tokio::sync::oneshot;

pub(crate) use self::agenda::{Agenda, Place};
pub(crate) use self::ledger::{Dropped, Ledger};
pub use self::ledger::{RetentionFailure, RetentionStatus};

use self::scheduler::{Message, Scheduler};
use crate::context::Context;

/// What retention shares with the rest of the system. Outlives its processes.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) agenda: Agenda,
    pub(crate) ledger: Ledger,
    /// The processes of the day: others after a restart.
    processes: RwLock<Processes>,
}

#[derive(Default, Clone)]
struct Processes {
    supervisor: Option<Supervisor>,
    workers: Option<DynamicSupervisor<StreamName>>,
    scheduler: Option<ActorRef<Message>>,
}

impl Shared {
    /// Sends to the scheduler; `false` if there is none now.
    fn tell(&self, message: Message) -> bool {
        let scheduler = self.processes.read().scheduler.clone();
        scheduler.is_some_and(|scheduler| scheduler.cast(message).is_ok())
    }

    /// Asks the scheduler; `None` if there is none now, or it ends without an answer.
    pub(crate) async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Option<T> {
        let scheduler = self.processes.read().scheduler.clone()?;
        let (reply, mut answer) = oneshot::channel();
        scheduler.cast(message(reply)).ok()?;
        tokio::select! {
            biased;
            answer = &mut answer => answer.ok(),
            // A message that came just too late is neither looked at nor dropped.
            _ = scheduler.wait(None) => answer.try_recv().ok(),
        }
    }

    /// Ends the scheduler and the workers, wherever these are: what they have not done is done after the
    /// next start.
    pub(crate) async fn shutdown(&self, deadline: Duration) {
        let supervisor = self.processes.read().supervisor.clone();
        if let Some(supervisor) = supervisor {
            supervisor.shutdown(deadline).await;
        }
    }

    fn workers(&self) -> Option<DynamicSupervisor<StreamName>> {
        self.processes.read().workers.clone()
    }
}

/// Starts the retention supervisor below `parent`, for the first time or again.
///
/// The workers come first: without them there is nothing to schedule, while they go on without a
/// scheduler.
pub(crate) async fn start(
    context: Arc<Context>,
    parent: ActorCell,
) -> Result<ActorCell, StartError> {
    let flags = SupervisorFlags {
        strategy: Strategy::RestForOne,
        intensity: Intensity::new(3, Duration::from_secs(60)),
        seed: context.draw_seed(),
    };
    let children = vec![workers_spec(&context), scheduler_spec(&context)];
    let supervisor = Supervisor::start(flags, children, Arc::new(NoObserver), Some(parent)).await?;
    context.retention.processes.write().supervisor = Some(supervisor.clone());
    Ok(supervisor.cell())
}

fn workers_spec(context: &Arc<Context>) -> ChildSpec {
    let context = context.clone();
    ChildSpec::new("compaction_workers", StandardPolicy::permanent(), move |parent| {
        let context = context.clone();
        async move {
            let observer = Arc::new(Overseer(context.clone()));
            let workers = DynamicSupervisor::start(observer, context.draw_seed(), Some(parent));
            let workers = workers.await?;
            let cell = workers.cell();
            context.retention.processes.write().workers = Some(workers);
            Ok(cell)
        }
    })
}

fn scheduler_spec(context: &Arc<Context>) -> ChildSpec {
    let context = context.clone();
    ChildSpec::actor("retention_scheduler", StandardPolicy::permanent(), move || {
        (Scheduler, context.clone())
    })
}

/// Tells the ledger and the scheduler how workers end.
struct Overseer(Arc<Context>);

impl Observer<StreamName> for Overseer {
    fn event(&self, event: &Event<StreamName>) {
        let Context { retention, clock, .. } = &*self.0;
        match event {
            Event::Exited { key, reason, .. } if reason.is_abnormal() => {
                retention.ledger.failed(key, &reason.to_string(), clock.now());
            }
            // A scheduler that is being started again asks who runs.
            Event::Stopped { key } => drop(retention.tell(Message::Ended(key.clone()))),
            _ => {}
        }
    }
}
