//! The WebSocket handshake, answered by us (RFC 6455, section 4.2).
//!
//! Why it exists: when the engine answers the handshake itself, the stream stays inside hyper's box, and the engine holds two
//! copies of the request for as long as its session lives. Answered here, the engine gets the bare connection and a request cut
//! down to what is read later, and a connection costs a third less memory. And the engine checks nothing but that there is a key.

use axum::body::Body;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tungstenite::handshake::derive_accept_key;

use super::stream::ConnectionStream;

/// The one version of the protocol.
const VERSION: &str = "13";

/// The answer to a request that opens a WebSocket.
///
/// # Errors
/// What the request is refused with.
pub(super) fn accept<B>(request: &Request<B>) -> Result<Response<Body>, Box<Response<Body>>> {
    let headers = request.headers();
    let refuse = |what: &'static str| Box::new((StatusCode::BAD_REQUEST, what).into_response());
    if request.method() != Method::GET {
        return Err(refuse("a WebSocket is opened by GET"));
    }
    if !lists(headers, &header::UPGRADE, "websocket") {
        return Err(refuse("the header Upgrade must be websocket"));
    }
    // With HTTP/1.0 hyper offers none.
    let is_offered = request.extensions().get::<OnUpgrade>().is_some();
    if !is_offered || !lists(headers, &header::CONNECTION, "upgrade") {
        return Err(refuse("the header Connection must be Upgrade"));
    }
    if only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        let version = [(header::SEC_WEBSOCKET_VERSION, VERSION)];
        let what = "the header Sec-WebSocket-Version must be 13";
        let refused = (StatusCode::UPGRADE_REQUIRED, version, what).into_response();
        return Err(Box::new(refused));
    }
    let key = only(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
    let Some(key) = key else {
        return Err(refuse(
            "the header Sec-WebSocket-Key must be 16 bytes in base64",
        ));
    };
    let Ok(protocol) = first_protocol(headers) else {
        return Err(refuse(
            "the header Sec-WebSocket-Protocol must list distinct tokens",
        ));
    };
    let mut answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(
            header::SEC_WEBSOCKET_ACCEPT,
            derive_accept_key(key.as_bytes()),
        );
    if let Some(protocol) = protocol {
        answer = answer.header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(answer
        .body(Body::empty())
        .expect("constants, base64, and a token"))
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(())?;
    Some(value.to_str().ok()?.trim())
}

/// Whether a header that is a list of words has this one.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    words(headers, name)
        .is_ok_and(|words| words.iter().any(|listed| listed.eq_ignore_ascii_case(word)))
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Vec<&'a str>, ()> {
    let values = headers.get_all(name).iter().map(HeaderValue::to_str);
    let lines: Vec<&str> = values.collect::<Result<_, _>>().map_err(drop)?;
    Ok(lines
        .iter()
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect())
}

fn is_key(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// The subprotocol to answer: the first that the client asked for, as Engine.IO's reference server does. It means nothing to us, but a
/// client that asked for some, and got none, ends the connection.
fn first_protocol(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    if !headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    let asked = words(headers, &header::SEC_WEBSOCKET_PROTOCOL)?;
    let distinct = asked
        .iter()
        .enumerate()
        .all(|(at, word)| !asked[..at].contains(word));
    let tokens = asked.iter().all(|word| is_token(word));
    if distinct && tokens {
        Ok(asked.first().copied())
    } else {
        Err(())
    }
}

/// A token of HTTP (RFC 9110, section 5.6.2).
fn is_token(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !word.is_empty() && word.bytes().all(allowed)
}

/// The connection, once the answer is out, and the bytes that hyper has read beyond the request. `None`: it ended before.
pub(super) async fn taken_back(upgrade: OnUpgrade) -> Option<(ConnectionStream, Bytes)> {
    let parts = upgrade
        .await
        .ok()?
        .downcast::<TokioIo<ConnectionStream>>()
        .ok()?;
    Some((parts.io.into_inner(), parts.read_buf))
}
