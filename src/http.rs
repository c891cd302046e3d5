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
mod demo;
mod door;
mod error;
mod etag;
mod events;
mod health;
mod history;
mod metrics;
mod rate;

pub use api::{Api, Rules};
pub use demo::{Demo, off as demo_off};
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

/// The routes that the metrics tell apart, as they are matched.
const ROUTES: [&str; 12] = [
    "/livez",
    "/readyz",
    "/socket.io/",
    MESSAGES,
    EVENTS,
    demo::PAGE,
    demo::ASSETS,
    demo::CONVERSATIONS,
    demo::MESSAGES,
    demo::READ,
    demo::BOT,
    demo::ABOUT,
];

/// The public routes: those of `api`, and what every server has. `socketio` answers at `/socket.io/`, until `draining`, bodies
/// up to `max_message_bytes`.
pub fn public(
    socketio: axum::routing::MethodRouter,
    health: Arc<Health>,
    api: Router,
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
        .merge(api)
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
    let path = request.extensions().get::<MatchedPath>();
    let route = path.and_then(|path| {
        let path = match path.as_str() {
            "/socket.io" => "/socket.io/",
            path => path,
        };
        ROUTES.into_iter().find(|route| *route == path)
    });
    let route = route.unwrap_or("other");
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
