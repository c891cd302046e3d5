//! Takes spans to the collector, in batches and in the background.
//!
//! Owns the one task that exports. The exporter tries a batch again for a few seconds; then the batch is dropped and counted, and the
//! next one has its turn. Guarantees that a collector which is away is said once, and costs nothing else; and that the task ends
//! within the time it is given, with what waited exported if the collector answers in that time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::collector::Collector;
use super::queue::Waiting;
use crate::metrics::Metrics;

/// Spans of one request.
const MAX_BATCH: usize = 512;
/// How long a batch may wait for more.
const BATCH_PAUSE: Duration = Duration::from_secs(1);

/// The export of spans, before it runs.
pub(crate) struct SpanExport {
    pub(super) exporter: SpanExporter,
    pub(super) collector: Collector,
    pub(super) waiting: Waiting,
    pub(super) is_failing: bool,
}

impl SpanExport {
    /// Exports until `stop`, and what waits then for `patience` at most.
    pub(crate) async fn run(
        mut self,
        patience: Duration,
        metrics: Metrics,
        stop: CancellationToken,
    ) {
        let given_up = async {
            stop.cancelled().await;
            sleep(patience).await;
        };
        tokio::select! {
            () = self.export(&metrics, &stop) => {}
            () = given_up => tracing::warn!("spans were not exported in time, and are dropped"),
        }
    }

    async fn export(&mut self, metrics: &Metrics, stop: &CancellationToken) {
        loop {
            let batch = self.gather(stop).await;
            if !batch.is_empty() {
                self.send(batch, metrics).await;
            }
            let dropped = self.waiting.dropped.swap(0, Ordering::Relaxed);
            metrics.spans_dropped.inc_by(dropped);
            if stop.is_cancelled() && self.waiting.spans.is_empty() {
                return;
            }
        }
    }

    /// The next batch. Empty at the stop, if nothing waits.
    async fn gather(&mut self, stop: &CancellationToken) -> Vec<SpanData> {
        let mut batch = Vec::new();
        let spans = &mut self.waiting.spans;
        tokio::select! {
            biased;
            _ = spans.recv_many(&mut batch, MAX_BATCH), if !spans.is_closed() => {}
            () = stop.cancelled() => return batch,
        }
        let until = Instant::now() + BATCH_PAUSE;
        while batch.len() < MAX_BATCH {
            let left = MAX_BATCH - batch.len();
            tokio::select! {
                biased;
                more = spans.recv_many(&mut batch, left) => if more == 0 { break },
                () = stop.cancelled() => break,
                () = sleep_until(until) => break,
            }
        }
        batch
    }

    async fn send(&mut self, batch: Vec<SpanData>, metrics: &Metrics) {
        let spans = batch.len() as u64;
        match self.exporter.export(batch).await {
            Ok(()) => {
                metrics.spans_exported.inc_by(spans);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("spans are exported again");
                }
            }
            Err(_) => {
                metrics.spans_dropped.inc_by(spans);
                let cause = self.collector.last_failure();
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        "spans can't be exported to OTEL_EXPORTER_OTLP_ENDPOINT, and are dropped until they can: {cause}"
                    );
                }
            }
        }
    }
}
