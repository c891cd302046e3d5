//! The request that opens a session.
//!
//! The engine keeps it for as long as the session lives. So it is cut down to what is needed later: as it comes, each
//! header is a slice of hyper's read buffer and keeps all of that alive. And it carries a guard that counts a handshake
//! which ended by its time limit: socketioxide closes a connection that never says CONNECT, and tells nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
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

/// What the engine, the origin check and authentication read; nothing else is kept.
const KEPT: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    header::SEC_WEBSOCKET_KEY,
    header::UPGRADE,
];

/// Prepares each request that opens a session.
pub(super) async fn begin(State(rule): State<Rule>, mut request: Request, next: Next) -> Response {
    if !query_has(request.uri(), "sid", None) {
        shrink(&mut request);
        let handshake = Handshake {
            begun: Instant::now(),
            done: AtomicBool::new(false),
            rule,
        };
        request.extensions_mut().insert(Arc::new(handshake));
    }
    next.run(request).await
}

fn shrink(request: &mut Request) {
    let mut headers = HeaderMap::new();
    for name in KEPT {
        if let Some(value) = request.headers().get(&name)
            && let Ok(copy) = HeaderValue::from_bytes(value.as_bytes())
        {
            headers.insert(name, copy);
        }
    }
    *request.headers_mut() = headers;
    if let Ok(copy) = request.uri().to_string().parse() {
        *request.uri_mut() = copy;
    }
}
