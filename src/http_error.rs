//! Errors as HTTP clients see them: `{ "error": { "code", "message" } }`, with the statuses and codes that `docs/http.md` lists.
//!
//! A leaf: whoever answers a request answers a refusal with these.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is nothing at this path")]
    NotFound,
    #[error("{0}")]
    NothingThere(String),
    #[error("this path does not take that method")]
    MethodNotAllowed,
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{0}: load the history again")]
    OffsetExpired(String),
    #[error("the content type must be application/json")]
    NotJson,
    #[error("a message may have {0} bytes")]
    TooLarge(usize),
    #[error("an address may send {0} requests a second")]
    TooManyRequests(u32),
    #[error("the server is stopping, try again")]
    Unavailable,
    #[error("the server is starting, try again")]
    Starting,
    #[error("the keys that tokens are verified with are not there yet, try again")]
    NoKeys,
    #[error("the database did not answer this: the server's log says why, try again")]
    Database,
    #[error("it can't be told at the moment whether you may read this, try again")]
    PolicyUnavailable,
    #[error("too many requests wait already, try again")]
    Crowded,
    #[error("there are no chat tables: rowcast migrate --chat makes them")]
    NoChatTables,
}

impl Error {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound | Self::NothingThere(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "bad_request"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::OffsetExpired(_) => (StatusCode::GONE, "offset_expired"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Unavailable
            | Self::Starting
            | Self::NoKeys
            | Self::Database
            | Self::PolicyUnavailable
            | Self::Crowded
            | Self::NoChatTables => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.kind();
        let mut response = json_response(
            status,
            &json!({ "error": { "code": code, "message": self.to_string() } }),
        );
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        // Some of these a cache would keep of its own accord.
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A JSON body with its type.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}
