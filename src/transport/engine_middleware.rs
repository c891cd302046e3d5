//! The requests at `/socket.io`, before the engine sees them and after it has answered.
//!
//! Refuses what must not reach the engine: requests beyond the limits, newcomers once the server closes its clients, what Engine.IO's reference server refuses, bodies
//! that are too large, and requests of engine sessions that have ended. Requests that open an engine session, and upgrades, go to
//! `opening`; those of a session that polls to `polling`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::client_packet::ClientPackets;
use super::connection::Connection;
use super::engine_error::EngineError;
use super::engine_gate::EngineGate;
use super::engine_session::EngineSession;
use super::opening;
use super::poll_answer;
use super::polling::{self, Engine};
use super::query::query_value;
use crate::auth::HostRefused;
use crate::http_error::Error;
use crate::metrics::Limit;

/// Handles every request at `/socket.io`.
pub(crate) async fn engine_middleware(
    State(gate): State<EngineGate>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(refused) = gate.limits.count_request(&request) {
        return refused.into_response();
    }
    let id: Option<Box<str>> = query_value(request.uri(), "sid").map(Into::into);
    // Newcomers try again, and find the next process.
    if id.is_none() && gate.closing_clients.is_cancelled() {
        return Error::Unavailable.into_response();
    }
    let max_bytes = gate.opener.max_message_bytes;
    if announced_bytes(&request).is_some_and(|bytes| bytes > max_bytes) {
        gate.metrics.limits(Limit::MessageSize);
        return Error::TooLarge(max_bytes).into_response();
    }
    let is_websocket = match query_value(request.uri(), "transport") {
        Some("websocket") => true,
        Some("polling") => false,
        _ => return EngineError::UnknownTransport.into_response(),
    };
    match id {
        None if is_websocket => open_websocket(&gate, request),
        None => open_polling(&gate, request, next).await,
        Some(id) => match gate.sessions.find(&id) {
            None => EngineError::UnknownSession.into_response(),
            Some(_) if !is_supported(request.uri()) => EngineError::BadRequest.into_response(),
            // One that began so is told why by CONNECT. Any other is somebody else's.
            Some(session) if session.is_connected() && has_refused_host(&request) => {
                Error::HostNotAllowed.into_response()
            }
            Some(session) if is_websocket => {
                opening::upgrade(request, &id, session, gate.opener.clone())
            }
            Some(session) => {
                let engine = Engine::new(next, id);
                polling::respond(&gate, session, engine, request).await
            }
        },
    }
}

fn has_refused_host(request: &Request) -> bool {
    request.extensions().get::<HostRefused>().is_some()
}

fn announced_bytes(request: &Request) -> Option<usize> {
    let length = request.headers().get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Whether a request speaks the version of Engine.IO that the engine does.
fn is_supported(uri: &Uri) -> bool {
    query_value(uri, "EIO") == Some("4")
}

/// Why a request that opens an engine session is refused.
fn refused(request: &Request) -> Option<EngineError> {
    if request.method() != Method::GET {
        return Some(EngineError::BadMethod);
    }
    (!is_supported(request.uri())).then_some(EngineError::UnsupportedVersion)
}

fn open_websocket(gate: &EngineGate, request: Request) -> Response {
    if let Some(refused) = refused(&request) {
        return refused.into_response();
    }
    let place = match gate.limits.admit(&request) {
        Ok(place) => place,
        Err(refused) => return refused.into_response(),
    };
    let session = EngineSession::websocket(gate.handshake_timeout, gate.metrics.clone(), place);
    opening::open_websocket(request, session, gate.opener.clone())
}

async fn open_polling(gate: &EngineGate, mut request: Request, next: Next) -> Response {
    if let Some(refused) = refused(&request) {
        return refused.into_response();
    }
    let place = match gate.limits.admit(&request) {
        Ok(place) => place,
        Err(refused) => return refused.into_response(),
    };
    (gate.check_origin)(request.headers());
    opening::shrink(&mut request);
    // An engine session that polls has no connection of its own, and the engine would hold this request's.
    request.extensions_mut().remove::<Arc<Connection>>();
    let packets = ClientPackets::new(gate.opener.max_event_rate);
    let metrics = gate.metrics.clone();
    let session = EngineSession::polling(gate.handshake_timeout, packets, metrics, place);
    request.extensions_mut().insert(session.clone());
    let response = next.run(request).await;
    let (response, id) = poll_answer::opened(response, gate.opener.max_message_bytes).await;
    if let Some(id) = id {
        gate.sessions.insert(&id, &session);
    }
    response
}
