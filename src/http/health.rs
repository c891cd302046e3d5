//! `/readyz`: whether what is committed now would reach a client now.
//!
//! Ready means that the listener is bound, the reader has lately found everything there was, a notification of our own has come
//! round, and no check of `status` fails. It says what fails, in words. A check that is merely degraded is named, too, in an
//! answer that is still 200: taking the server out of service would make it worse. So is an attached table that is not captured as
//! it should be, and a connection pooler, behind which the poll alone delivers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http_error::json_response;
use crate::status::{
    Check, Checks, ListenerStatus, PROBE_LIMIT, ReaderStatus, Severity, SourcesStatus,
};

/// How far behind the reader may be, beyond two polls; and how long it may fail.
const LAG_LIMIT: Duration = Duration::from_secs(2);

const POOLED: &str = "DATABASE_URL leads through a connection pooler: events come with the poll (ROWCAST_POLL) and not at once; \
                      set it to the database's own address";

/// What readiness is made of.
pub(crate) struct Health {
    listener: watch::Receiver<ListenerStatus>,
    reader: watch::Receiver<ReaderStatus>,
    sources: watch::Receiver<SourcesStatus>,
    checks: Checks,
    draining: CancellationToken,
    lag_limit: Duration,
}

/// One check of readiness.
#[derive(Debug, serde::Serialize)]
pub(crate) struct CheckReport {
    /// Its name.
    pub check: &'static str,
    /// `ok`, `degraded` or `failing`.
    pub state: &'static str,
    /// What is known of the reason, in words.
    pub causes: Vec<String>,
}

/// The checks that are made here; those of `status` come on top.
const OWN_CHECKS: [&str; 6] = ["drain", "listener", "pooler", "reader", "probe", "sources"];

impl Health {
    /// Watches the listener, a reader that reads every `poll` at least, and the attached tables.
    pub(crate) fn new(
        listener: watch::Receiver<ListenerStatus>,
        reader: watch::Receiver<ReaderStatus>,
        sources: watch::Receiver<SourcesStatus>,
        checks: Checks,
        draining: CancellationToken,
        poll: Duration,
    ) -> Self {
        Self {
            listener,
            reader,
            sources,
            checks,
            draining,
            lag_limit: poll * 2 + LAG_LIMIT,
        }
    }

    /// Since when the reader has not found everything; `None` before its first read.
    pub(crate) fn lag(&self) -> Option<Duration> {
        self.reader.borrow().caught_up.map(|at| at.elapsed())
    }

    /// What fails, by name; empty when ready.
    fn failing(&self) -> Map<String, Value> {
        let mut failing = Map::new();
        if self.draining.is_cancelled() {
            failing.insert("drain".into(), "the server is stopping".into());
        }
        let listener = self.listener.borrow().clone();
        if !listener.bound && !listener.pooled {
            let cause = listener.cause.map(|cause| format!(": {cause}"));
            let cause = format!("LISTEN is not in force{}", cause.unwrap_or_default());
            failing.insert("listener".into(), cause.into());
        }
        let reader = self.reader.borrow().clone();
        // A long read that comes further is no fault.
        match reader.moved.map(|at| at.elapsed()) {
            _ if let Some((since, cause)) = &reader.failing
                && since.elapsed() > LAG_LIMIT =>
            {
                let cause = format!("the outbox can't be read: {cause}");
                failing.insert("reader".into(), cause.into());
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
        failing.extend(self.found(Severity::Failing));
        failing
    }

    /// What is amiss while events are delivered, by name; empty when nothing is.
    fn degraded(&self) -> Map<String, Value> {
        let mut degraded: Map<_, _> = self.found(Severity::Degraded).collect();
        if self.listener.borrow().pooled {
            degraded.insert("pooler".into(), POOLED.into());
        }
        let sources = self.sources.borrow();
        if let Some(failing) = &sources.failing {
            degraded.insert("sources".into(), failing.as_str().into());
        } else if !sources.problems.is_empty() {
            degraded.insert("sources".into(), json!(sources.problems));
        }
        degraded
    }

    /// The checks of `status` that fail and are that severe.
    fn found(&self, severity: Severity) -> impl Iterator<Item = (String, serde_json::Value)> {
        let failing = self.checks.failing().into_iter();
        failing
            .filter(move |(check, _)| check.severity() == severity)
            .map(|(check, cause)| (check.name().to_owned(), cause.into()))
    }

    /// Every check, and whether it passes.
    pub(crate) fn by_check(&self) -> Vec<(&'static str, bool)> {
        let mut failing = self.failing();
        failing.extend(self.degraded());
        names()
            .map(|name| (name, !failing.contains_key(name)))
            .collect()
    }

    /// Every check, how it stands, and why.
    pub(crate) fn report(&self) -> Vec<CheckReport> {
        let (failing, degraded) = (self.failing(), self.degraded());
        names()
            .map(|check| {
                let (state, why) = match (failing.get(check), degraded.get(check)) {
                    (Some(why), _) => ("failing", Some(why)),
                    (None, Some(why)) => ("degraded", Some(why)),
                    (None, None) => ("ok", None),
                };
                let causes = why.map(causes).unwrap_or_default();
                CheckReport {
                    check,
                    state,
                    causes,
                }
            })
            .collect()
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let others = Check::ALL.iter().map(|check| check.name());
    OWN_CHECKS.into_iter().chain(others)
}

/// The sentences of a cause: one, or those of each table.
fn causes(cause: &Value) -> Vec<String> {
    let Value::Object(tables) = cause else {
        return cause.as_str().map(str::to_owned).into_iter().collect();
    };
    let each = tables.iter().flat_map(|(table, problems)| {
        let problems = problems.as_array().into_iter().flatten();
        problems
            .filter_map(Value::as_str)
            .map(move |problem| format!("{table}: {problem}"))
    });
    each.collect()
}

pub(super) async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let failing = health.failing();
    let degraded = health.degraded();
    let (status, word) = match (failing.is_empty(), degraded.is_empty()) {
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
    };
    let mut body = json!({ "status": word });
    for (member, checks) in [("failing", failing), ("degraded", degraded)] {
        if !checks.is_empty() {
            body[member] = checks.into();
        }
    }
    json_response(status, &body)
}
