//! The requests of a session, before the engine sees them.
//!
//! The one that opens it is kept by the engine for as long as the session lives. So it is cut down to what is needed
//! later: as it comes, each header is a slice of hyper's read buffer and keeps all of that alive. And it carries a mark
//! that counts a handshake which ended by its time limit: socketioxide closes a connection that never says CONNECT, and
//! tells nobody. Where it opens a WebSocket, we answer it and hand the engine the bare connection (see
//! [`handshake`]).
//! The later ones are met for what the engine does not tell: how much a poll took, which connection a session was
//! upgraded to. A session that we have ended is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::{Instant, timeout};

use super::hub::Hub;
use crate::metrics::{Limit, Metrics};
use crate::server::{Successor, query_value};
use crate::wire::{Wire, WireStream, frame, handshake};

/// Opens a session of the engine's on a connection that has become a WebSocket.
pub(super) type Open = Arc<dyn Fn(WireStream, axum::http::Request<()>) + Send + Sync>;

/// What the requests are met with.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) limit: Duration,
    pub(super) hub: Arc<Hub>,
    pub(super) open: Open,
    /// The engine is being closed.
    pub(super) closing: Arc<AtomicBool>,
}

/// One handshake.
pub(super) struct Handshake {
    due: Instant,
    done: AtomicBool,
    metrics: Metrics,
}

impl Handshake {
    fn begin(rule: &Rule) -> Arc<Self> {
        Arc::new(Self {
            due: Instant::now() + rule.limit,
            done: AtomicBool::new(false),
            metrics: rule.hub.metrics.clone(),
        })
    }

    /// CONNECT has come.
    pub(super) fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        if !self.done.load(Ordering::Relaxed) && Instant::now() >= self.due {
            self.metrics.limits(Limit::HandshakeTime);
        }
    }
}

/// Between the packets of an answer to a poll (Engine.IO protocol v4, "HTTP long-polling").
const PACKET_SEPARATOR: u8 = 0x1e;

/// What the origin check and authentication read, of a request that opens a WebSocket.
const KEPT_BY_US: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
];
/// What the engine reads of any other.
const KEPT_BY_THE_ENGINE: [HeaderName; 4] = [
    header::CONNECTION,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_KEY,
    header::UPGRADE,
];

/// Prepares a request that opens a session, and looks after one that names a session.
pub(super) async fn guard(State(rule): State<Rule>, mut request: Request, next: Next) -> Response {
    let Some(named) = query_value(request.uri(), "sid") else {
        if handshake::opens_session(&request) {
            return open_websocket(request, &rule);
        }
        shrink(&mut request);
        // A session that polls has no connection of its own; the engine would keep this one's.
        request.extensions_mut().remove::<Arc<Wire>>();
        request.extensions_mut().insert(Handshake::begin(&rule));
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
        let session: Box<str> = named.into();
        if let Some(wire) = request.extensions().get::<Arc<Wire>>() {
            rule.hub.upgrade(&session, wire);
        }
        let response = next.run(request).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            rule.hub.not_upgraded(&session);
        }
        return response;
    }
    let polls = request.method() == Method::GET;
    let session: Box<str> = named.into();
    let response = run(request, next, rule.limit).await;
    if let Some(client) = client.filter(|_| polls) {
        client.outlet.polled();
    }
    match rule.hub.greeting(&session).filter(|_| polls) {
        Some(pid) => greet(response, &rule.hub, &session, &pid).await,
        None if polls && rule.closing.load(Ordering::Acquire) => unless_closing(response).await,
        None => response,
    }
}

/// The answer to a poll, unless it tells a newcomer for good that there is nothing here: it is to try again.
async fn unless_closing(response: Response) -> Response {
    let (head, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(body)
            if body
                .split(|byte| *byte == PACKET_SEPARATOR)
                .any(|p| p == frame::CLOSING) =>
        {
            unknown_session()
        }
        Ok(body) => Response::from_parts(head, body.into()),
        Err(_) => unknown_session(),
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

/// Answers the handshake, and hands over the connection when the answer is out.
fn open_websocket(mut request: Request, rule: &Rule) -> Response {
    let answer = handshake::accept(&request);
    let extensions = request.extensions_mut();
    let (wire, successor) = (
        extensions.remove::<Arc<Wire>>(),
        extensions.remove::<Successor>(),
    );
    let open = rule.open.clone();
    let mut opening = axum::http::Request::new(());
    *opening.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
    *opening.headers_mut() = only(request.headers(), &KEPT_BY_US);
    opening.extensions_mut().insert(Handshake::begin(rule));
    if let Some(wire) = wire {
        opening.extensions_mut().insert(wire);
    }
    let upgrade = hyper::upgrade::on(request);
    if let Some(successor) = successor {
        successor.set(async move {
            if let Some(stream) = handshake::taken_back(upgrade).await {
                open(stream, opening);
            }
        });
    }
    answer
}

fn shrink(request: &mut Request) {
    let kept = [&KEPT_BY_US[..], &KEPT_BY_THE_ENGINE[..]].concat();
    *request.headers_mut() = only(request.headers(), &kept);
    if let Ok(copy) = request.uri().to_string().parse() {
        *request.uri_mut() = copy;
    }
}

/// Copies of these headers, and no room for more. The host is only ever compared with an origin.
fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let compared = headers.contains_key(header::ORIGIN);
    let present = || {
        names
            .iter()
            .filter(|name| compared || **name != header::HOST)
            .filter_map(|name| Some((name, headers.get(name)?)))
    };
    let mut copies = HeaderMap::with_capacity(present().count());
    for (name, value) in present() {
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            copies.insert(name, copy);
        }
    }
    copies
}
