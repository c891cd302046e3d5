//! The request that opens an engine session.
//!
//! The engine holds the request for as long as its session lives. So the request is cut down to what is read later: each header
//! is a slice of hyper's read buffer, and one of them would hold all of that buffer in memory.
//! The request carries what is known of the session (`engine_session`). A request that opens a WebSocket is answered by us, and
//! the engine is given the bare connection (`handshake`): at once, or, if it is the upgrade of a session that polls, when the
//! client has been probed (`probe`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse as _, Response};

use super::client_packet::ClientPackets;
use super::connection::Connection;
use super::engine_error::EngineError;
use super::engine_session::EngineSession;
use super::incoming::Incoming;
use super::stream::ConnectionStream;
use super::upgrade_task::UpgradeTask;
use super::{handshake, probe};
use crate::auth::HostRefused;
use crate::metrics::Metrics;

/// Opens an engine session on a connection that has become a WebSocket.
pub(crate) type OpenSession = Arc<dyn Fn(ConnectionStream, axum::http::Request<()>) + Send + Sync>;

/// Says whose page asks, of a request without an origin (Fetch Metadata Request Headers).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Headers that the origin check and authentication read.
const KEPT_BY_US: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    SEC_FETCH_SITE,
];
/// Headers that the engine reads of a request that is left to it.
const KEPT_BY_THE_ENGINE: [HeaderName; 4] = [
    header::CONNECTION,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_KEY,
    header::UPGRADE,
];

/// What a request that opens a WebSocket needs.
#[derive(Clone)]
pub(crate) struct Opener {
    /// Opens an engine session.
    pub open: OpenSession,
    /// Bytes of a message.
    pub max_message_bytes: usize,
    /// How many CONNECT and DISCONNECT packets may come at once.
    pub max_event_rate: u32,
    /// How long a probe may take.
    pub probe_timeout: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

/// Answers the handshake, and gives the connection to the engine when the answer has been written.
pub(super) fn open_websocket(
    mut request: Request,
    session: Arc<EngineSession>,
    opener: Opener,
) -> Response {
    let answer = match handshake::accept(&request) {
        Ok(answer) => answer,
        Err(refusal) => return *refusal,
    };
    let extensions = request.extensions_mut();
    let (connection, upgrade_task, refused) = (
        extensions.remove::<Arc<Connection>>(),
        extensions.remove::<UpgradeTask>(),
        extensions.remove::<HostRefused>(),
    );
    let mut opening = axum::http::Request::new(());
    *opening.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
    *opening.headers_mut() = only(request.headers(), &KEPT_BY_US);
    opening.extensions_mut().insert(session.clone());
    if let Some(refused) = refused {
        opening.extensions_mut().insert(refused);
    }
    if let Some(connection) = connection {
        // The engine keeps the request for longer than a client stays that never says CONNECT.
        opening.extensions_mut().insert(Arc::downgrade(&connection));
    }
    let upgrade = hyper::upgrade::on(request);
    if let Some(upgrade_task) = upgrade_task {
        upgrade_task.set(async move {
            if let Some((mut stream, early)) = handshake::taken_back(upgrade).await {
                stream.carry(session);
                stream.connection().announce(opener.max_message_bytes);
                stream.begin_websocket(incoming(&early, &opener), b"");
                (opener.open)(stream, opening);
            }
        });
    }
    answer
}

/// Answers the handshake of an upgrade, probes the client, and gives the connection to the engine if that went well.
pub(super) fn upgrade(
    mut request: Request,
    id: &str,
    session: Arc<EngineSession>,
    opener: Opener,
) -> Response {
    let answer = match handshake::accept(&request) {
        Ok(answer) => answer,
        Err(refusal) => return *refusal,
    };
    let Ok(uri) = format!("/socket.io/?EIO=4&transport=websocket&sid={id}").parse::<Uri>() else {
        return EngineError::UnknownSession.into_response();
    };
    let upgrade_task = request.extensions_mut().remove::<UpgradeTask>();
    let upgrade = hyper::upgrade::on(request);
    if let Some(upgrade_task) = upgrade_task {
        upgrade_task.set(async move {
            let Some((stream, early)) = handshake::taken_back(upgrade).await else {
                return;
            };
            // As the reference server does with a second one beside it.
            if !session.begin_probe() {
                return probe::refuse(stream, None).await;
            }
            let incoming = incoming(&early, &opener);
            let probed = probe::run(stream, incoming, opener.probe_timeout, &session).await;
            if let Some(mut stream) = probed {
                stream.carry(session);
                let mut request = axum::http::Request::new(());
                *request.uri_mut() = uri;
                (opener.open)(stream, request);
            }
        });
    }
    answer
}

/// What the client sends, with the bytes that came together with the handshake.
fn incoming(early: &[u8], opener: &Opener) -> Incoming {
    let packets = ClientPackets::new(opener.max_event_rate);
    let mut incoming = Incoming::new(opener.max_message_bytes, packets, opener.metrics.clone());
    incoming.push(early);
    incoming
}

/// Cuts a request down to what is read later.
pub(super) fn shrink(request: &mut Request) {
    let kept = [&KEPT_BY_US[..], &KEPT_BY_THE_ENGINE[..]].concat();
    *request.headers_mut() = only(request.headers(), &kept);
    *request.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=polling");
}

/// Copies of these headers, and no room for more. The host is only ever compared with an origin.
fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let compared = headers.contains_key(header::ORIGIN);
    let kept = names
        .iter()
        .filter(|name| compared || **name != header::HOST)
        .filter(|name| !compared || **name != SEC_FETCH_SITE);
    // Each of its values: what is refused for being said twice is refused on a socket, too.
    let present = || {
        kept.clone()
            .flat_map(|name| headers.get_all(name).iter().map(move |it| (name, it)))
    };
    let mut copies = HeaderMap::with_capacity(present().count());
    for (name, value) in present() {
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            copies.append(name, copy);
        }
    }
    copies
}
