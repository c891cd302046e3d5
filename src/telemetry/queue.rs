//! Where spans wait for their export.
//!
//! Guarantees that whoever ends a span is not held up, and that what waits is bounded: a span for which there is no place is dropped
//! and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::Status;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;

use crate::spans::{EVENTS, READER_PASS};

/// Spans that may wait, as many as the SDK's own processor keeps.
const MAX_WAITING: usize = 2_048;

/// The end of the queue that spans are put into.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

/// The end that they are taken from.
pub(super) struct Waiting {
    pub(super) spans: mpsc::Receiver<SpanData>,
    /// Those for which there was no place, since it was last looked at.
    pub(super) dropped: Arc<AtomicU64>,
}

pub(super) fn queue() -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    let dropped = Arc::<AtomicU64>::default();
    let queue = Queue {
        spans: sender,
        dropped: dropped.clone(),
    };
    let waiting = Waiting {
        spans: receiver,
        dropped,
    };
    (queue, waiting)
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !found_nothing(&span) && self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `SpanExport` exports what waits.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A pass of the reader in which nothing happened: there is one every `ROWCAST_POLL`.
fn found_nothing(span: &SpanData) -> bool {
    let has_events = || {
        let mut attributes = span.attributes.iter();
        attributes.any(|attribute| attribute.key.as_str() == EVENTS)
    };
    span.name == READER_PASS && span.status == Status::Unset && !has_events()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn spans_beyond_the_bound_are_dropped_and_counted() {
        let (queue, mut waiting) = queue();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .build();
        let tracer = provider.tracer("test");
        for _ in 0..MAX_WAITING + 7 {
            drop(tracer.start("join"));
        }
        assert_eq!(waiting.dropped.load(Ordering::Relaxed), 7);
        waiting.spans.close();
        let kept = std::iter::from_fn(|| waiting.spans.try_recv().ok()).count();
        assert_eq!(kept, MAX_WAITING);
    }
}
