//! The request that opens an engine session.
//!
//! The engine holds the request for as long as its session lives. So the request is cut down to what is read later: each header
//! is a slice of hyper's read buffer, and one of them would hold all of that buffer in memory.
//! The request carries a timer, because socketioxide closes a connection that never sends CONNECT and tells nobody: the timer
//! counts such a handshake. A request that opens a WebSocket is answered by us, and the engine is given the bare connection
//! (`handshake`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use tokio::time::Instant;

use super::connection::Connection;
use super::handshake;
use super::stream::ConnectionStream;
use super::upgrade_task::UpgradeTask;
use crate::metrics::{Limit, Metrics};

/// Opens an engine session on a connection that has become a WebSocket.
pub(crate) type OpenSession = Arc<dyn Fn(ConnectionStream, axum::http::Request<()>) + Send + Sync>;

/// Headers that the origin check and authentication read.
const KEPT_BY_US: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
];
/// Headers that the engine reads of a request that is left to it.
const KEPT_BY_THE_ENGINE: [HeaderName; 4] = [
    header::CONNECTION,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_KEY,
    header::UPGRADE,
];

/// One handshake. It is counted if it is dropped after its time limit and CONNECT has not come.
pub(crate) struct HandshakeTimer {
    due: Instant,
    connected: AtomicBool,
    metrics: Metrics,
}

impl HandshakeTimer {
    pub(super) fn start(limit: Duration, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            due: Instant::now() + limit,
            connected: AtomicBool::new(false),
            metrics,
        })
    }

    /// CONNECT has come.
    pub(crate) fn set_connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }
}

impl Drop for HandshakeTimer {
    fn drop(&mut self) {
        if !self.connected.load(Ordering::Relaxed) && Instant::now() >= self.due {
            self.metrics.limits(Limit::HandshakeTime);
        }
    }
}

/// Answers the handshake, and gives the connection to the engine when the answer has been written.
pub(super) fn open_websocket(
    mut request: Request,
    timer: Arc<HandshakeTimer>,
    open: OpenSession,
) -> Response {
    let answer = handshake::accept(&request);
    let extensions = request.extensions_mut();
    let (connection, upgrade_task) = (
        extensions.remove::<Arc<Connection>>(),
        extensions.remove::<UpgradeTask>(),
    );
    let mut opening = axum::http::Request::new(());
    *opening.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
    *opening.headers_mut() = only(request.headers(), &KEPT_BY_US);
    opening.extensions_mut().insert(timer);
    if let Some(connection) = connection {
        opening.extensions_mut().insert(connection);
    }
    let upgrade = hyper::upgrade::on(request);
    if let Some(upgrade_task) = upgrade_task {
        upgrade_task.set(async move {
            if let Some(stream) = handshake::taken_back(upgrade).await {
                open(stream, opening);
            }
        });
    }
    answer
}

/// Cuts a request down to what is read later.
pub(super) fn shrink(request: &mut Request) {
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
