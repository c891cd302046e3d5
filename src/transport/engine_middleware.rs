//! The requests at `/socket.io`, before the engine sees them and after it has answered.
//!
//! Refuses what must not reach the engine: newcomers while the server drains, bodies that are too large, and requests of engine
//! sessions that we have closed. Prepares requests that open an engine session (`opening`), and changes answers to polls
//! (`poll_answer`). Notes what the engine does not tell: that a poll emptied the queue, and which connection an engine session
//! was upgraded to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::Limited;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::engine_sessions::EngineSessions;
use super::handshake;
use super::opening::{self, OpenSession};
use super::poll_answer::{self, unknown_session};
use super::query::query_value;
use crate::http_error::Error;
use crate::metrics::{Limit, Metrics};

/// What the middleware needs to decide on a request.
#[derive(Clone)]
pub(crate) struct EngineGate {
    /// How long a handshake, or the body of a request, may take.
    pub handshake_timeout: Duration,
    /// Bytes of a body.
    pub max_message_bytes: usize,
    /// What is known of engine sessions.
    pub sessions: Arc<EngineSessions>,
    /// Opens an engine session.
    pub open: OpenSession,
    /// Nobody new is let in any more.
    pub draining: CancellationToken,
    /// The engine is being closed.
    pub closing: Arc<AtomicBool>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Handles every request at `/socket.io`.
pub(crate) async fn engine_middleware(
    State(gate): State<EngineGate>,
    request: Request,
    next: Next,
) -> Response {
    let session: Option<Box<str>> = query_value(request.uri(), "sid").map(Into::into);
    // Newcomers try again, and find the next process.
    if session.is_none() && gate.draining.is_cancelled() {
        return Error::Unavailable.into_response();
    }
    if announced_bytes(&request).is_some_and(|bytes| bytes > gate.max_message_bytes) {
        gate.metrics.limits(Limit::MessageSize);
        return Error::TooLarge(gate.max_message_bytes).into_response();
    }
    // A body that hides its size is cut off at the limit.
    let request = request.map(|body| Body::new(Limited::new(body, gate.max_message_bytes)));
    match session {
        None => open_session(&gate, request, next).await,
        Some(session) => session_request(&gate, &session, request, next).await,
    }
}

fn announced_bytes(request: &Request) -> Option<usize> {
    let length = request.headers().get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// A request that opens an engine session.
async fn open_session(gate: &EngineGate, mut request: Request, next: Next) -> Response {
    let timer = opening::HandshakeTimer::start(gate.handshake_timeout, gate.metrics.clone());
    if handshake::opens_session(&request) {
        return opening::open_websocket(request, timer, gate.open.clone());
    }
    opening::shrink(&mut request);
    // An engine session that polls has no connection of its own, and the engine would hold this request's.
    request.extensions_mut().remove::<Arc<Connection>>();
    request.extensions_mut().insert(timer);
    next.run(request).await
}

/// A request that names an engine session.
async fn session_request(
    gate: &EngineGate,
    session: &str,
    request: Request,
    next: Next,
) -> Response {
    let client = gate.sessions.find(session);
    if client.as_ref().is_some_and(|client| client.was_closed()) {
        return unknown_session();
    }
    if query_value(request.uri(), "transport") == Some("websocket") {
        return upgrade(gate, session, request, next).await;
    }
    if request.method() != Method::GET {
        return run_bounded(request, next, gate.handshake_timeout).await;
    }
    let response = next.run(request).await;
    if let Some(client) = client
        && poll_answer::emptied_queue(&response)
    {
        client.poll_emptied_queue();
    }
    match gate.sessions.pending_pid(session) {
        Some(pid) => {
            let (response, connect_sent) = poll_answer::with_pid(response, &pid).await;
            if connect_sent {
                gate.sessions.connect_sent(session);
            }
            response
        }
        None if gate.closing.load(Ordering::Acquire) => poll_answer::unless_closing(response).await,
        None => response,
    }
}

async fn upgrade(gate: &EngineGate, session: &str, request: Request, next: Next) -> Response {
    if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
        gate.sessions.begin_upgrade(session, connection);
    }
    let response = next.run(request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        gate.sessions.upgrade_refused(session);
    }
    response
}

/// The engine's answer to a POST. The engine reads a body for as long as the client takes, even of a session that has ended; so
/// the time is bounded here.
async fn run_bounded(request: Request, next: Next, limit: Duration) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
