//! The requests of a session, before the engine sees them.
//!
//! The one that opens it is kept by the engine for as long as the session lives. So it is cut down to what is needed
//! later: as it comes, each header is a slice of hyper's read buffer and keeps all of that alive. And it carries a mark
//! that counts a handshake which ended by its time limit: socketioxide closes a connection that never says CONNECT, and
//! tells nobody.
//! The later ones are met for what the engine does not tell: how much a poll took, which connection a session was
//! upgraded to. A session that we have ended is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::{Instant, timeout};

use super::hub::Hub;
use crate::metrics::Limit;
use crate::server::query_value;
use crate::wire::{Wire, frame};

/// What the requests are met with.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) limit: Duration,
    pub(super) hub: Arc<Hub>,
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
            self.rule.hub.metrics.limits(Limit::HandshakeTime);
        }
    }
}

/// Between the packets of an answer to a poll (Engine.IO protocol v4, "HTTP long-polling").
const PACKET_SEPARATOR: u8 = 0x1e;

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

/// Prepares a request that opens a session, and looks after one that names a session.
pub(super) async fn guard(State(rule): State<Rule>, mut request: Request, next: Next) -> Response {
    let Some(named) = query_value(request.uri(), "sid") else {
        shrink(&mut request);
        if query_value(request.uri(), "transport") != Some("websocket") {
            // A session that polls has no connection of its own; the engine would keep this one's.
            request.extensions_mut().remove::<Arc<Wire>>();
        }
        let handshake = Handshake {
            begun: Instant::now(),
            done: AtomicBool::new(false),
            rule,
        };
        request.extensions_mut().insert(Arc::new(handshake));
        return next.run(request).await;
    };
    let client = rule.hub.find(named);
    if client
        .as_ref()
        .is_some_and(|client| client.outlet.has_ended())
    {
        return unknown_session();
    }
    if query_value(request.uri(), "transport") == Some("websocket") {
        if let Some(wire) = request.extensions().get::<Arc<Wire>>() {
            rule.hub.upgrade(named, wire);
        }
        return next.run(request).await;
    }
    let poll = client
        .filter(|_| request.method() == Method::GET)
        .map(|client| (client.outlet.poll(), client));
    let polls = request.method() == Method::GET;
    let session: Box<str> = named.into();
    let response = run(request, next, rule.limit).await;
    if let Some((taken, client)) = poll {
        client.outlet.polled(taken);
    }
    match rule.hub.greeting(&session).filter(|_| polls) {
        Some(pid) => greet(response, &rule.hub, &session, &pid).await,
        None => response,
    }
}

/// The answer to a poll with the pid in the CONNECT packet, if that is in it.
async fn greet(response: Response, hub: &Hub, session: &str, pid: &str) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut packets = body.split(|byte| *byte == PACKET_SEPARATOR);
    let Some(connect) = packets.find_map(|packet| frame::connect_with_pid(packet, pid)) else {
        return Response::from_parts(head, body.into());
    };
    hub.greeted(session);
    let packets = body.split(|byte| *byte == PACKET_SEPARATOR).map(|packet| {
        if frame::connect_with_pid(packet, pid).is_some() {
            connect.as_slice()
        } else {
            packet
        }
    });
    let body = packets.collect::<Vec<_>>().join(&PACKET_SEPARATOR);
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, body.into())
}

/// The engine's answer. It reads a body for as long as that takes, also when its session is over: that is bounded.
async fn run(request: Request, next: Next, limit: Duration) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// What Engine.IO says of a session that has ended; a stock client connects anew.
fn unknown_session() -> Response {
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    (
        StatusCode::BAD_REQUEST,
        [(header::CONTENT_TYPE, "application/json")],
        body,
    )
        .into_response()
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
