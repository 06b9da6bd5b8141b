//! The supervision tree: every child spec of a system, on one page.
//!
//! ```text
//! StreamSystem          rest_for_one, 3 restarts in 60 s
//! └── StreamSupervisor  permanent; drains its children when it shuts down
//!     └── Stream        transient, or as the system's policy says; one a stream that is in use
//! ```

use std::sync::Arc;
use std::time::Duration;

use streamkeeper_supervisor::{
    ChildSpec, Intensity, NoObserver, StandardPolicy, StartError, Strategy, Supervisor,
    SupervisorFlags,
};

use crate::context::Context;
use crate::stream_supervisor;

/// Starts the tree.
pub(crate) async fn start(context: &Arc<Context>) -> Result<Supervisor, StartError> {
    let flags = SupervisorFlags {
        strategy: Strategy::RestForOne,
        intensity: Intensity::new(3, Duration::from_secs(60)),
        seed: context.draw_seed(),
    };
    let children = vec![stream_supervisor_spec(context)];
    Supervisor::start(flags, children, Arc::new(NoObserver), None).await
}

fn stream_supervisor_spec(context: &Arc<Context>) -> ChildSpec {
    let context = context.clone();
    ChildSpec::new("stream_supervisor", StandardPolicy::permanent(), move |parent| {
        stream_supervisor::start(context.clone(), parent)
    })
}
