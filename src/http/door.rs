//! The door before Socket.IO: what is turned away without bothering the engine.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::Limited;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use crate::metrics::{Limit, Metrics};
use crate::server::query_value;

/// What the door goes by.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) draining: CancellationToken,
    pub(super) max_message_bytes: usize,
    pub(super) metrics: Metrics,
}

/// Turns away newcomers while the server drains (they try again, and find the next process) and bodies that are too
/// large. A body that hides its size is cut off at the limit.
pub(super) async fn keep(State(door): State<Door>, request: Request, next: Next) -> Response {
    let newcomer = query_value(request.uri(), "sid").is_none();
    if newcomer && door.draining.is_cancelled() {
        return Error::Unavailable.into_response();
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let announced = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > door.max_message_bytes) {
        door.metrics.limits(Limit::MessageSize);
        return Error::TooLarge(door.max_message_bytes).into_response();
    }
    let limit = door.max_message_bytes;
    next.run(request.map(|body| Body::new(Limited::new(body, limit))))
        .await
}
