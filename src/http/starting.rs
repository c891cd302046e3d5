//! What the public listener answers until the server serves: that it is unready, and what it waits for.
//!
//! Where nothing is wrong, a start takes a moment, and requests that come in it are held until the real routes are there: a
//! client that was refused would come back a second later. Where something is wrong, or the moment is over, they are refused.
//! Socket.IO is refused like everything else: over HTTP, and not by a CONNECT_ERROR packet, because a stock client retries after
//! the former and gives up after the latter.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, json};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::http_error::{Error, json_response};
use crate::status::StartStatus;

/// How long a request is held at most.
const HOLD: Duration = Duration::from_secs(2);

/// What decides who is held and who is refused.
pub(super) struct Front {
    /// The routes that refuse, but for `/livez` and `/readyz`.
    pub(super) refusing: Router,
    /// The real routes come as a change of these.
    pub(super) routes: watch::Receiver<Router>,
    /// What the start is at.
    pub(super) status: watch::Receiver<StartStatus>,
}

/// Answers every request, by the real routes if they come in time.
pub(super) async fn hold(State(front): State<Arc<Front>>, request: Request) -> Response {
    let router = match request.uri().path() {
        "/livez" | "/readyz" => None,
        _ => front.routes_in_time().await,
    };
    let router = router.unwrap_or_else(|| front.refusing.clone());
    let answered = router.oneshot(request).await;
    answered.unwrap_or_else(|never| match never {})
}

impl Front {
    async fn routes_in_time(&self) -> Option<Router> {
        let (mut routes, mut status) = (self.routes.clone(), self.status.clone());
        let changed = async {
            tokio::select! {
                changed = routes.changed() => changed.is_ok(),
                _ = status.wait_for(|status| status.is_failing) => false,
            }
        };
        let is_there = timeout(HOLD, changed).await.unwrap_or(false);
        is_there.then(|| routes.borrow().clone())
    }
}

pub(super) async fn refuse() -> Error {
    Error::Starting
}

pub(super) async fn readyz(State(status): State<watch::Receiver<StartStatus>>) -> Response {
    let StartStatus { check, cause, .. } = status.borrow().clone();
    let failing = Map::from_iter([(check.to_owned(), cause.into())]);
    json_response(
        StatusCode::SERVICE_UNAVAILABLE,
        &json!({ "status": "unready", "failing": failing }),
    )
}
