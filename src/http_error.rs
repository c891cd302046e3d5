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
    #[error(
        "this server is not known by the name that was asked: if it is one of its names, its operator adds it to \
         ROWCAST_ALLOWED_HOSTS"
    )]
    HostNotAllowed,
    #[error(
        "what a proxy forwards is refused while nobody is asked who it is: the operator sets ROWCAST_AUTH (the log says more)"
    )]
    Forwarded,
    #[error("{0}: load the history again")]
    OffsetExpired(String),
    #[error("the content type must be application/json")]
    NotJson,
    #[error("a message may have {0} bytes")]
    TooLarge(usize),
    #[error("{0} requests a second may be sent: try again later")]
    TooManyRequests(u32),
    #[error("too much of what is past was read: try again later")]
    TooMuchRead,
    #[error("too many Socket.IO sessions are opened from this address: try again later")]
    TooManyHandshakes,
    #[error("this address has as many connections as it may: try again later")]
    TooManyConnections,
    #[error("there are as many connections as there may be: try again later")]
    NoConnectionLeft,
    #[error("as many requests wait as may: try again later")]
    TooManyLongPolls,
    #[error("answers of before have to be read first: try again later")]
    TooMuchUnread,
    #[error("too many answers wait to be read, try again")]
    Unread,
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
            Self::Forbidden(_) | Self::Forwarded => (StatusCode::FORBIDDEN, "forbidden"),
            Self::HostNotAllowed => (StatusCode::FORBIDDEN, "host_not_allowed"),
            Self::OffsetExpired(_) => (StatusCode::GONE, "offset_expired"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::TooManyRequests(_)
            | Self::TooMuchRead
            | Self::TooManyHandshakes
            | Self::TooMuchUnread
            | Self::TooManyLongPolls => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::TooManyConnections => (StatusCode::TOO_MANY_REQUESTS, "too_many_connections"),
            Self::NoConnectionLeft => (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections"),
            Self::Unavailable
            | Self::Starting
            | Self::NoKeys
            | Self::Database
            | Self::PolicyUnavailable
            | Self::Crowded
            | Self::Unread
            | Self::NoChatTables => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }
}

impl Error {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Value {
        json!({ "error": { "code": self.kind().1, "message": self.to_string() } })
    }

    /// How long to wait before the next attempt, where one helps.
    pub(crate) fn retry_after_seconds(&self) -> Option<u8> {
        match self {
            Self::NoConnectionLeft | Self::TooManyConnections => Some(5),
            _ => matches!(
                self.status(),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
            )
            .then_some(1),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = json_response(status, &self.body());
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        // Some of these a cache would keep of its own accord.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, u16::from(seconds).into());
        }
        response
    }
}

/// A JSON body with its type.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}
