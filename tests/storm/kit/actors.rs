//! Which actor runs the code of the moment, so that a storage can have its caller killed.
//!
//! Nobody outside the system can name a stream's actor, and that is right. But ractor runs every actor
//! in a span that tells its id, and keeps a list of all actors of the process; together they let a test
//! do what an operator with a debugger could.

use ractor::ActorId;
use ractor::registry::where_is_pid;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// The id of the actor whose span this is.
struct Actor(u64);

/// Notes the ids of actors in their spans.
struct Ids;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ids {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut found = Find(None);
        attributes.record(&mut found);
        if let (Some(actor), Some(span)) = (found.0, context.span(id)) {
            span.extensions_mut().insert(Actor(actor));
        }
    }
}

/// Finds the number in the field `id = "0.17"`, where 0 is this process.
struct Find(Option<u64>);

impl Visit for Find {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "id" {
            self.0 = value.strip_prefix("0.").and_then(|number| number.parse().ok());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, format!("{value:?}").trim_matches('"'));
    }
}

/// Begins to note which actor runs.
///
/// # Panics
///
/// The process has another subscriber.
pub(crate) fn watch_actors() {
    let actors = Ids.with_filter(filter_fn(|meta| meta.is_span() && meta.name() == "Actor"));
    let subscriber = Registry::default().with(actors);
    tracing::subscriber::set_global_default(subscriber).expect("there is no other subscriber");
}

/// Kills the actor that runs this code: it ends at its next await. `false` if no actor does.
pub(crate) fn kill_caller() -> bool {
    let id = Span::current().with_subscriber(|(id, subscriber)| {
        let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
        let actor = span.extensions().get::<Actor>().map(|actor| actor.0);
        actor
    });
    let actor = id.flatten().and_then(|id| where_is_pid(ActorId::Local(id)));
    actor.inspect(|actor| actor.kill()).is_some()
}
