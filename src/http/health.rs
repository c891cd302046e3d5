//! `/readyz`: whether what is committed now would reach a client now.
//!
//! Ready means that the listener is bound, the reader has lately found everything there was, and a notification of our
//! own has come round. It says what fails, in words; and what is degraded, which alone is no reason to send clients elsewhere.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http_error::json_response;
use crate::status::{ListenerStatus, NotifyQueueStatus, PROBE_LIMIT, ReaderStatus};

/// How far behind the reader may be, beyond two polls; and how long it may fail.
const LAG_LIMIT: Duration = Duration::from_secs(2);

/// What readiness is made of.
pub(crate) struct Health {
    listener: watch::Receiver<ListenerStatus>,
    reader: watch::Receiver<ReaderStatus>,
    notify_queue: watch::Receiver<NotifyQueueStatus>,
    draining: CancellationToken,
    lag_limit: Duration,
}

impl Health {
    /// Watches the listener, and a reader that reads every `poll` at least.
    pub(crate) fn new(
        listener: watch::Receiver<ListenerStatus>,
        reader: watch::Receiver<ReaderStatus>,
        notify_queue: watch::Receiver<NotifyQueueStatus>,
        draining: CancellationToken,
        poll: Duration,
    ) -> Self {
        Self {
            listener,
            reader,
            notify_queue,
            draining,
            lag_limit: poll * 2 + LAG_LIMIT,
        }
    }

    /// Since when the reader has not found everything; `None` before its first read.
    pub(crate) fn lag(&self) -> Option<Duration> {
        self.reader.borrow().caught_up.map(|at| at.elapsed())
    }

    /// What fails, by name; empty when ready.
    fn failing(&self) -> Map<String, serde_json::Value> {
        let mut failing = Map::new();
        if self.draining.is_cancelled() {
            failing.insert("drain".into(), "the server is stopping".into());
        }
        let listener = *self.listener.borrow();
        if !listener.bound {
            failing.insert("listener".into(), "LISTEN is not in force".into());
        }
        let failing_for = self.reader.borrow().failing.map(|since| since.elapsed());
        match self.lag() {
            _ if failing_for.is_some_and(|time| time > LAG_LIMIT) => {
                failing.insert("reader".into(), "the outbox can't be read".into());
            }
            None => drop(failing.insert("reader".into(), "the outbox was not read yet".into())),
            Some(lag) if lag > self.lag_limit => {
                let message = format!("the outbox was last read {} ms ago", lag.as_millis());
                failing.insert("reader".into(), message.into());
            }
            Some(_) => {}
        }
        let recent = |at: Instant| at.elapsed() <= PROBE_LIMIT;
        if !listener.probed.is_some_and(recent) {
            failing.insert(
                "probe".into(),
                "no notification of our own has come round lately".into(),
            );
        }
        failing
    }

    /// What is worse than it should be while everything is delivered, by name.
    fn degraded(&self) -> Map<String, serde_json::Value> {
        let trouble = self.notify_queue.borrow().trouble.clone();
        trouble
            .map(|trouble| ("notify_queue".to_owned(), trouble.into()))
            .into_iter()
            .collect()
    }
}

pub(super) async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let (failing, degraded) = (health.failing(), health.degraded());
    let (code, mut answer) = if failing.is_empty() {
        (StatusCode::OK, json!({ "status": "ready" }))
    } else {
        let answer = json!({ "status": "unready", "failing": failing });
        (StatusCode::SERVICE_UNAVAILABLE, answer)
    };
    if !degraded.is_empty() {
        answer["degraded"] = degraded.into();
    }
    json_response(code, &answer)
}
