//! The admin listener: `/metrics` for Prometheus, the inspector, which is handed in, and `/livez` and `/readyz` of this very process, also
//! while another one listens on the public address.
//!
//! It listens on an address that only operators reach, or asks for a token (`admin_access`), and answers a browser by its known names
//! only.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::{AdminAccess, front_door};
use crate::auth::HostPolicy;
use crate::http_error::Error;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Admin {
    registry: Arc<Registry>,
    measure: Box<dyn Fn() + Send + Sync>,
}

/// The admin routes. `measure` brings up to date what is only known when asked; `readyz` answers whether the server is ready.
pub(crate) fn admin(
    registry: Arc<Registry>,
    hosts: HostPolicy,
    access: &AdminAccess,
    inspector: Router,
    readyz: MethodRouter,
    measure: impl Fn() + Send + Sync + 'static,
) -> Router {
    let admin = Arc::new(Admin {
        registry,
        measure: Box::new(measure),
    });
    let metrics = Router::new()
        .route("/metrics", get(scrape))
        .with_state(admin);
    access
        .with_token(metrics)
        .merge(inspector)
        .route("/livez", get(super::livez))
        .route("/readyz", readyz)
        .fallback(|| async { Error::NotFound })
        .layer(middleware::from_fn_with_state(hosts, front_door::look))
}

async fn scrape(State(admin): State<Arc<Admin>>) -> Response {
    (admin.measure)();
    let mut text = String::new();
    match encode(&mut text, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
