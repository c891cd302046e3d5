//! `/readyz`: whether what is committed now would reach a client now.
//!
//! Ready means that the listener is bound, the reader has lately found everything there was, and a notification of our
//! own has come round. It says what fails, in words. Behind a connection pooler, where the poll alone delivers, it is ready and
//! says what that costs.

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
use crate::status::{ListenerStatus, PROBE_LIMIT, ReaderStatus};

/// How far behind the reader may be, beyond two polls; and how long it may fail.
const LAG_LIMIT: Duration = Duration::from_secs(2);

const POOLED: &str = "DATABASE_URL leads through a connection pooler: events come with the poll (ROWCAST_POLL) and not at once; \
                      set it to the database's own address";

/// What readiness is made of.
pub(crate) struct Health {
    listener: watch::Receiver<ListenerStatus>,
    reader: watch::Receiver<ReaderStatus>,
    draining: CancellationToken,
    lag_limit: Duration,
}

impl Health {
    /// Watches the listener, and a reader that reads every `poll` at least.
    pub(crate) fn new(
        listener: watch::Receiver<ListenerStatus>,
        reader: watch::Receiver<ReaderStatus>,
        draining: CancellationToken,
        poll: Duration,
    ) -> Self {
        Self {
            listener,
            reader,
            draining,
            lag_limit: poll * 2 + LAG_LIMIT,
        }
    }

    /// Since when the reader has not found everything; `None` before its first read.
    pub(crate) fn lag(&self) -> Option<Duration> {
        self.reader.borrow().caught_up.map(|at| at.elapsed())
    }

    /// What works, and not as it should, by name.
    fn degraded(&self) -> Map<String, serde_json::Value> {
        let mut degraded = Map::new();
        if self.listener.borrow().pooled {
            degraded.insert("pooler".into(), POOLED.into());
        }
        degraded
    }

    /// What fails, by name; empty when ready.
    fn failing(&self) -> Map<String, serde_json::Value> {
        let mut failing = Map::new();
        if self.draining.is_cancelled() {
            failing.insert("drain".into(), "the server is stopping".into());
        }
        let listener = *self.listener.borrow();
        if !listener.bound && !listener.pooled {
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
        if !listener.probed.is_some_and(recent) && !listener.pooled {
            failing.insert(
                "probe".into(),
                "no notification of our own has come round lately".into(),
            );
        }
        failing
    }
}

pub(super) async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let failing = health.failing();
    if failing.is_empty() {
        let mut ready = json!({ "status": "ready" });
        let degraded = health.degraded();
        if !degraded.is_empty() {
            ready["degraded"] = degraded.into();
        }
        json_response(StatusCode::OK, &ready)
    } else {
        json_response(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "unready", "failing": failing }),
        )
    }
}
