//! The WebSocket handshake, answered by us (RFC 6455, section 4.2.2).
//!
//! Why it exists: when the engine answers the handshake itself, the stream stays inside hyper's box, and the engine holds two
//! copies of the request for as long as its session lives. Answered here, the engine gets the bare connection and a request cut
//! down to what is read later, and a connection costs a third less memory.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tungstenite::handshake::derive_accept_key;

use super::query::query_value;
use super::stream::ConnectionStream;

/// Whether this request opens an engine session on a WebSocket. A request that the engine would refuse is left to the engine.
pub(super) fn opens_session<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && query_value(request.uri(), "EIO") == Some("4")
        && query_value(request.uri(), "transport") == Some("websocket")
        && query_value(request.uri(), "sid").is_none()
        && request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
        && request.extensions().get::<OnUpgrade>().is_some()
}

/// The answer to such a request.
pub(super) fn accept<B>(request: &Request<B>) -> Response<Body> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let accept = derive_accept_key(key.map_or(&[], HeaderValue::as_bytes));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty())
        .expect("constants, and base64")
}

/// The connection, once the answer is out. `None`: it ended before.
pub(super) async fn taken_back(upgrade: OnUpgrade) -> Option<ConnectionStream> {
    let parts = upgrade
        .await
        .ok()?
        .downcast::<TokioIo<ConnectionStream>>()
        .ok()?;
    let stream = parts.io.into_inner();
    stream.read_already(&parts.read_buf);
    Some(stream)
}
