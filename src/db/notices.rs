//! What Postgres says beside its answers: the NOTICEs of one piece of work.
//!
//! The driver hands them to `tracing` and to nobody else, so that is where they are heard. Guarantees that only those of this work are: the
//! subscriber is the work's own, while it is polled. What else the work logs goes nowhere, so this is for commands.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::{Event, Metadata, Subscriber, span};

/// The target of the driver's events.
const TARGET: &str = "sqlx::postgres::notice";

/// Does the work, and returns what was said meanwhile, in its order.
pub(super) async fn with_notices<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let heard = Heard::default();
    let done = work.with_subscriber(heard.clone()).await;
    let mut said = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
    (done, std::mem::take(&mut said))
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Subscriber for Heard {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(self));
    }

    // There are no spans of that target.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message<'a>(&'a Heard);

impl Visit for Message<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let mut said = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            said.push(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
