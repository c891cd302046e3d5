//! Counts handshakes that ended by their time limit.
//!
//! socketioxide closes a connection that never says CONNECT and tells nobody. A guard in the request's extensions lives
//! as long as the engine's session does; dropped late and never marked, it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::metrics::{Limit, Metrics};
use crate::server::query_has;

/// What each new handshake is given.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) limit: Duration,
    pub(super) metrics: Metrics,
}

/// One handshake.
pub(super) struct Handshake {
    begun: Instant,
    done: AtomicBool,
    rule: Rule,
}

impl Handshake {
    /// CONNECT has come.
    pub(super) fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        if !self.done.load(Ordering::Relaxed) && self.begun.elapsed() >= self.rule.limit {
            self.rule.metrics.limits(Limit::HandshakeTime);
        }
    }
}

/// Puts a guard into each request that opens a session.
pub(super) async fn begin(State(rule): State<Rule>, mut request: Request, next: Next) -> Response {
    if !query_has(request.uri(), "sid", None) {
        let handshake = Handshake {
            begun: Instant::now(),
            done: AtomicBool::new(false),
            rule,
        };
        request.extensions_mut().insert(Arc::new(handshake));
    }
    next.run(request).await
}
