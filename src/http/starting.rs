//! What the public listener answers until the server serves: that it is unready, and what it waits for.
//!
//! Socket.IO is refused like everything else: over HTTP, and not by a CONNECT_ERROR packet, because a stock client retries after
//! the former and gives up after the latter.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, json};
use tokio::sync::watch;

use crate::http_error::{Error, json_response};
use crate::status::StartStatus;

pub(super) async fn refuse() -> Error {
    Error::Starting
}

pub(super) async fn readyz(State(status): State<watch::Receiver<StartStatus>>) -> Response {
    let StartStatus { check, cause } = status.borrow().clone();
    let failing = Map::from_iter([(check.to_owned(), cause.into())]);
    json_response(
        StatusCode::SERVICE_UNAVAILABLE,
        &json!({ "status": "unready", "failing": failing }),
    )
}
