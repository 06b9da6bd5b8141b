//! The supervision tree: every child spec of a system, on one page.
//!
//! ```text
//! StreamSystem          rest_for_one, 3 restarts in 60 s
//! ├── StreamSupervisor  permanent; drains its children when it shuts down
//! │   └── Stream        transient, or as the system's policy says; one a stream that is in use
//! ├── Dormancy          permanent; puts idle streams to sleep
//! └── ExpiryQueue       permanent; wakes dormant streams whose time has come
//! ```

use std::sync::Arc;
use std::time::Duration;

use ractor::Actor;
use streamkeeper_supervisor::{
    ChildSpec, Intensity, NoObserver, Shutdown, StandardPolicy, StartError, Strategy, Supervisor,
    SupervisorFlags,
};

use crate::context::Context;
use crate::dormancy::Dormancy;
use crate::expiry_queue::ExpiryQueue;
use crate::stream_supervisor;

/// Starts the tree.
pub(crate) async fn start(context: &Arc<Context>) -> Result<Supervisor, StartError> {
    let flags = SupervisorFlags {
        strategy: Strategy::RestForOne,
        intensity: Intensity::new(3, Duration::from_secs(60)),
        seed: context.draw_seed(),
    };
    let children = vec![
        stream_supervisor_spec(context),
        worker_spec("dormancy", context, || Dormancy),
        worker_spec("expiry_queue", context, || ExpiryQueue),
    ];
    Supervisor::start(flags, children, Arc::new(NoObserver), None).await
}

/// A gen_server that knows nothing but the context: what it does can wait until it is there again.
fn worker_spec<A>(id: &str, context: &Arc<Context>, make: fn() -> A) -> ChildSpec
where
    A: Actor<Arguments = Arc<Context>>,
{
    let context = context.clone();
    ChildSpec::actor(id, StandardPolicy::permanent(), move || (make(), context.clone()))
        .shutdown(Shutdown::BrutalKill)
}

fn stream_supervisor_spec(context: &Arc<Context>) -> ChildSpec {
    let context = context.clone();
    ChildSpec::new("stream_supervisor", StandardPolicy::permanent(), move |parent| {
        stream_supervisor::start(context.clone(), parent)
    })
}
