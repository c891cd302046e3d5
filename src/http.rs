//! HTTP: what is not Socket.IO.
//!
//! Owns the routes of the public and the admin listener, their errors and CORS. The gateway's service is handed in and
//! mounted; neither knows the other.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

mod api;
mod door;
mod error;
mod etag;
mod events;
mod health;
mod history;
mod metrics;
mod rate;

pub use api::{Api, Rules};
pub use health::Health;
pub use metrics::admin;

use crate::config::Origins;
use crate::metrics::Metrics;
use door::Door;
use error::Error;

/// History of a conversation.
const MESSAGES: &str = "/api/conversations/{contactId}/messages";
/// Its events.
const EVENTS: &str = "/api/conversations/{contactId}/events";

/// The public routes. `socketio` answers at `/socket.io/`, until `draining`, bodies up to `max_message_bytes`.
pub fn public(
    socketio: axum::routing::MethodRouter,
    health: Arc<Health>,
    api: &Arc<Api>,
    origins: &Origins,
    max_message_bytes: usize,
    metrics: Metrics,
    draining: CancellationToken,
) -> Router {
    let door = Door {
        draining,
        max_message_bytes,
        metrics: metrics.clone(),
    };
    let socketio = socketio.layer(middleware::from_fn_with_state(door, door::keep));
    Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(health::readyz).with_state(health))
        .route("/socket.io", socketio.clone())
        .route("/socket.io/", socketio)
        .merge(api.routes())
        .fallback(|| async { Error::NotFound })
        .method_not_allowed_fallback(|| async { Error::MethodNotAllowed })
        .layer(middleware::from_fn_with_state(metrics, count))
        .layer(cors(origins))
}

/// Outermost, because a preflight has no route. Credentials go with a list of origins only: browsers refuse them for `*`.
fn cors(origins: &Origins) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::ETAG, header::RETRY_AFTER]);
    match origins {
        Origins::Any => layer.allow_origin(AllowOrigin::any()),
        Origins::List(_) => {
            let origins = origins.clone();
            let allowed = move |origin: &HeaderValue, _: &_| {
                origin.to_str().is_ok_and(|origin| origins.allows(origin))
            };
            layer
                .allow_origin(AllowOrigin::predicate(allowed))
                .allow_credentials(true)
        }
    }
}

async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = match request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str)
    {
        Some("/livez") => "/livez",
        Some("/readyz") => "/readyz",
        Some(MESSAGES) => MESSAGES,
        Some(EVENTS) => EVENTS,
        Some("/socket.io" | "/socket.io/") => "/socket.io/",
        _ => "other",
    };
    let response = next.run(request).await;
    metrics.http(route, response.status().as_u16());
    response
}

/// A JSON body with its type.
fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
