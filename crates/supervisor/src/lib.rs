//! OTP supervision on [ractor]: child specs, restart policies, intensity, backoff,
//! quarantine. It knows nothing of what its children do.
//!
//! A supervisor starts children, is told when one ends, and decides by the child's policy what
//! follows. There are two, with OTP's names:
//!
//! * [`Supervisor`]: a fixed list of children, started in order and stopped in reverse, with a
//!   [`Strategy`] that says who is restarted together.
//! * [`DynamicSupervisor`]: children that come and go, each on its own, found by a key.
//!
//! Both are ractor actors, so each can be a child of the other. A handle is a way in; nothing is
//! stopped when it is dropped. What happens is told to an [`Observer`] as it happens.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use ractor::{Actor, ActorProcessingErr, ActorRef};
//! use streamkeeper_supervisor::{ChildSpec, DynamicSupervisor, Event, StandardPolicy};
//!
//! struct Greeter;
//!
//! impl Actor for Greeter {
//!     type Msg = &'static str;
//!     type State = ();
//!     type Arguments = ();
//!
//!     async fn pre_start(&self, _: ActorRef<&'static str>, (): ()) -> Result<(), ActorProcessingErr> {
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), streamkeeper_supervisor::StartError> {
//! let observer = |event: &Event<u32>| tracing::info!(?event);
//! let supervisor = DynamicSupervisor::start(Arc::new(observer), 42, None).await?;
//!
//! let policy = StandardPolicy::transient().intensity(3, Duration::from_secs(10));
//! let spec = ChildSpec::actor("greeter", policy, || (Greeter, ()));
//! let greeter = supervisor.start_child(7, spec).await?;
//! greeter.send_message("hello").expect("it is up");
//!
//! let report = supervisor.shutdown(Duration::from_secs(5)).await;
//! assert_eq!(report.drained, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Which exit is restarted
//!
//! | how the child ended | [`ExitReason`] | permanent | transient | temporary |
//! |---|---|---|---|---|
//! | it stopped itself | `Normal` | restart | forget | forget |
//! | it was drained, or stopped with a reason | `Shutdown` | restart | forget | forget |
//! | it was killed | `Killed` | restart | restart | forget |
//! | a panic, or an error of any type | `Panicked` | restart | restart | forget |
//! | a [`ChildFailure`] | `Failed` | restart | restart | forget |
//! | its task was aborted | `Cancelled` | restart | restart | forget |
//! | it could not be started again | `StartFailed` | restart | restart | forget |
//!
//! An end that the supervisor itself brought about is never restarted. A *first* start that fails is
//! its caller's to handle.
//!
//! [`StandardPolicy`] adds a [`Backoff`] and an [`Intensity`] to the [`Restart`] type. Anything else is
//! a [`RestartPolicy`] of one's own: an [`Incident`] in, a [`Verdict`] out.
//!
//! # Where this differs from OTP
//!
//! * In a [`DynamicSupervisor`] restarts are counted for each child, not for the supervisor, and a
//!   child past its intensity is *quarantined*: it stays down, its key stays taken, its siblings do not
//!   notice. [`lift_quarantine`](DynamicSupervisor::lift_quarantine) brings it back. OTP's way is
//!   [`OnExhausted::Escalate`].
//! * A restart may wait for a backoff.
//! * A child is started in a task of its own, also when it is restarted: `pre_start` may be slow
//!   without delaying the supervisor or any sibling that does not depend on it.
//! * A child is asked to drain before it is stopped, and stopped before it is killed: ractor's `stop`
//!   overtakes queued messages.
//! * A child of a [`Supervisor`] whose policy said [`Verdict::Stop`] stays away when its siblings are
//!   restarted; siblings that are up are restarted even if they are temporary.
//!
//! # What it cannot do
//!
//! A kill takes effect at an await point: an actor that blocks its thread outlives it. A supervisor
//! that is itself killed takes its children along without `post_stop`, and its observer hears nothing
//! of that.

mod backoff;
mod child_spec;
mod dynamic;
mod early_exits;
mod event;
mod exit_reason;
mod history;
mod intensity;
mod policy;
mod restart;
mod start_error;
mod starting;
mod stopping;
mod supervisor;

pub use backoff::Backoff;
pub use child_spec::{ChildSpec, Shutdown, StartFn};
pub use dynamic::{
    ChildCounts, ChildInfo, ChildState, DynamicSupervisor, ForgetError, Key, LiftError,
    TerminateError,
};
pub use event::{Event, NoObserver, Observer};
pub use exit_reason::{ChildFailure, ExitReason};
pub use intensity::{Intensity, RestartWindow};
pub use policy::{Incident, OnExhausted, RestartPolicy, StandardPolicy, Verdict};
pub use restart::Restart;
pub use start_error::StartError;
pub use stopping::ShutdownReport;
pub use supervisor::{Strategy, Supervisor, SupervisorFlags};
