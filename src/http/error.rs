//! Errors as HTTP clients see them: `{ "error": { "code", "message" } }` (contract, section 5).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("there is nothing at this path")]
    NotFound,
    #[error("this path does not take that method")]
    MethodNotAllowed,
    #[error("the server is stopping, try again")]
    Unavailable,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "bad_request"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let mut response = super::json(
            status,
            &json!({ "error": { "code": code, "message": self.to_string() } }),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
