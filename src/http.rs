//! HTTP: everything that is not Socket.IO.
//!
//! Owns the routes of the public and the admin listener, and CORS. Socket.IO's service and the demo's routes are handed in and
//! mounted here; none of the three knows another.
//!
//! - `front_door`: the first look at every request
//! - `api`: what the reads share; `history`, `events`: the two reads; `query`: their parameters; `etag`: tags; `api_limits`: how much may be asked
//! - `health`: `/readyz`; `starting`: what is answered until the server serves
//! - `metrics`: the admin listener; `admin_access`: who may use it
//! - `page`: a page and its files; `json_type`: what a browser may not send to another site by itself

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};
use tokio::sync::watch;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

mod admin_access;
pub(crate) mod api;
mod api_limits;
pub(crate) mod etag;
mod events;
mod front_door;
mod health;
mod history;
pub(crate) mod json_type;
mod metrics;
pub(crate) mod page;
pub(crate) mod query;
mod starting;

pub(crate) use admin_access::{AdminAccess, MARK};
pub(crate) use api::Api;
pub(crate) use api_limits::ApiLimits;
pub(crate) use health::Health;
pub(crate) use metrics::admin;

use crate::auth::HostPolicy;
use crate::config::Origins;
use crate::http_error::Error;
use crate::metrics::Metrics;
use crate::status::StartStatus;

/// History of a conversation.
const MESSAGES: &str = "/api/conversations/{contactId}/messages";
/// Its events.
const EVENTS: &str = "/api/conversations/{contactId}/events";
/// History of a room of any kind.
const ROOM_MESSAGES: &str = "/api/rooms/{room}/messages";
/// Its events.
const ROOM_EVENTS: &str = "/api/rooms/{room}/events";

/// The routes that the metrics tell apart, as they are matched; those of the demo beside them.
const ROUTES: [&str; 7] = [
    "/livez",
    "/readyz",
    "/socket.io/",
    MESSAGES,
    EVENTS,
    ROOM_MESSAGES,
    ROOM_EVENTS,
];

/// What the public listener serves.
pub(crate) struct Public {
    /// Answers at `/socket.io/`.
    pub socketio: MethodRouter,
    /// Answers at `/readyz`.
    pub health: Arc<Health>,
    /// The API, and the demo.
    pub routes: Router,
    /// Routes of `routes`, beyond the API's, that the metrics tell apart.
    pub counted_routes: &'static [&'static str],
}

/// Whose requests are looked at.
pub(crate) struct Callers {
    /// The pages that may read answers.
    pub origins: Origins,
    /// The names by which the server may be called.
    pub hosts: HostPolicy,
    /// How long browsers are to call this host by https alone (RFC 6797); `None` says nothing of it.
    pub hsts: Option<Duration>,
}

/// The reads of the API.
pub(crate) fn api_routes(api: &Arc<Api>) -> Router {
    Router::new()
        .route(MESSAGES, get(history::answer))
        .route(EVENTS, get(events::answer))
        .route(ROOM_MESSAGES, get(history::answer))
        .route(ROOM_EVENTS, get(events::answer))
        .route_layer(middleware::from_fn_with_state(api.clone(), api::admit))
        .with_state(api.clone())
}

/// The public routes of a server that starts: it lives, and everything else waits a moment for the real routes, which come as
/// a change of `routes`, or is refused as unavailable.
pub(crate) fn starting(
    status: watch::Receiver<StartStatus>,
    routes: watch::Receiver<Router>,
    callers: &Callers,
    metrics: Metrics,
) -> Router {
    let counter = RouteCounter {
        metrics,
        counted_routes: &[],
    };
    let refusing = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", starting_readyz(status.clone()))
        .route("/socket.io", any(starting::refuse))
        .route("/socket.io/", any(starting::refuse))
        .fallback(starting::refuse);
    let front = starting::Front {
        refusing: finish(refusing, counter, callers),
        routes,
        status,
    };
    Router::new()
        .fallback(starting::hold)
        .with_state(Arc::new(front))
}

/// `/readyz` of a server that starts.
pub(crate) fn starting_readyz(status: watch::Receiver<StartStatus>) -> MethodRouter {
    get(starting::readyz).with_state(status)
}

/// `/readyz` of a server that serves.
pub(crate) fn readyz(health: Arc<Health>) -> MethodRouter {
    get(health::readyz).with_state(health)
}

/// The public routes: what was given, and what every server has.
pub(crate) fn public(public: Public, callers: &Callers, metrics: Metrics) -> Router {
    let counter = RouteCounter {
        metrics,
        counted_routes: public.counted_routes,
    };
    let routes = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", readyz(public.health))
        .route("/socket.io", public.socketio.clone())
        .route("/socket.io/", public.socketio)
        .merge(public.routes)
        .fallback(|| async { Error::NotFound });
    finish(routes, counter, callers)
}

/// The process answers.
async fn livez() -> &'static str {
    "live\n"
}

/// Puts around the public routes what holds for all of them.
fn finish(routes: Router, counter: RouteCounter, callers: &Callers) -> Router {
    let routes = routes
        .method_not_allowed_fallback(|| async { Error::MethodNotAllowed })
        .layer(middleware::from_fn_with_state(counter, count))
        .layer(cors(&callers.origins))
        .layer(middleware::from_fn_with_state(
            callers.hosts.clone(),
            front_door::look,
        ));
    match callers.hsts {
        Some(hsts) => routes.layer(middleware::map_response_with_state(hsts, call_by_https)),
        None => routes,
    }
}

async fn call_by_https(State(hsts): State<Duration>, mut response: Response) -> Response {
    let value = HeaderValue::try_from(format!("max-age={}", hsts.as_secs()));
    let value = value.expect("digits");
    let headers = response.headers_mut();
    headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    response
}

/// Outside of the routes, because a preflight has none. Credentials go with a list of origins only: browsers refuse them for `*`.
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

#[derive(Clone)]
struct RouteCounter {
    metrics: Metrics,
    counted_routes: &'static [&'static str],
}

impl RouteCounter {
    /// The label of a matched path. What is not known by name is one label, so that strangers can't make labels.
    fn label(&self, path: &str) -> &'static str {
        let path = match path {
            "/socket.io" => "/socket.io/",
            path => path,
        };
        let mut known = ROUTES.iter().chain(self.counted_routes);
        known
            .find(|route| **route == path)
            .copied()
            .unwrap_or("other")
    }
}

async fn count(State(counter): State<RouteCounter>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or("other", |path| counter.label(path.as_str()));
    let response = next.run(request).await;
    counter.metrics.http(route, response.status().as_u16());
    response
}
