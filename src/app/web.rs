//! The last step of the start: the routes, which the listeners serve from now on.
//!
//! Comes after the reader has begun, so that a client which connects at once can also join at once.

use std::sync::Arc;

use axum::Router;
use prometheus_client::registry::Registry;

use super::database::Served;
use super::delivery::{Delivery, MAX_LONG_POLLS};
use super::example;
use super::feed::Feed;
use super::listeners::Listeners;
use super::tasks::{StopPhase, Tasks};
use crate::config::Config;
use crate::db::Chat;
use crate::demo::{self, Demo};
use crate::http::api::ApiRules;
use crate::http::{self, AdminAccess, Api, ApiLimits, Health, Public};
use crate::inspector::{Inspector, InspectorParts};

pub(super) fn start(
    config: &Config,
    served: &Served,
    delivery: &Delivery,
    feed: &Feed,
    registry: Arc<Registry>,
    tasks: &mut Tasks,
    listeners: &Listeners,
) -> Arc<Health> {
    let health = Arc::new(Health::new(
        feed.listener.clone(),
        feed.reader.clone(),
        feed.sources.clone(),
        feed.checks.clone(),
        tasks.draining.clone(),
        config.poll,
    ));
    let public = Public {
        socketio: delivery.socketio.clone(),
        health: health.clone(),
        routes: routes(config, served, delivery, tasks),
        counted_routes: demo::ROUTES,
    };
    let inspector = inspector(config, served, delivery, &health, &listeners.admin_access);
    let admin = inspector.routes();
    tasks.start("inspector", StopPhase::Rest, |stop| inspector.forget(stop));
    listeners.serve(
        http::public(public, &listeners.callers, delivery.metrics.clone()),
        http::admin(
            registry,
            listeners.callers.hosts.clone(),
            &listeners.admin_access,
            admin,
            http::readyz(health.clone()),
            measure(served, delivery, health.clone()),
        ),
    );
    health
}

/// The API, and the demo or what stands in its place.
fn routes(config: &Config, served: &Served, delivery: &Delivery, tasks: &Tasks) -> Router {
    let rules = ApiRules {
        authenticator: delivery.authenticator.clone(),
        revocations: delivery.revocations.clone(),
        room_policy: delivery.room_policy.clone(),
        retention: config.retention,
        max_payload_bytes: config.max_payload_bytes,
        limits: ApiLimits::new(
            config.limits.max_http_rate,
            config.limits.max_long_polls,
            MAX_LONG_POLLS,
            delivery.reads.clone(),
            delivery.metrics.clone(),
        ),
    };
    let api = Api::new(
        served.pools.http.clone(),
        delivery.notifier.clone(),
        rules,
        delivery.metrics.clone(),
        tasks.closing_clients.clone(),
    );
    let routes = http::api_routes(&api);
    if !config.demo {
        return routes.merge(demo::off());
    }
    let psql = served.embedded.as_ref().map(example::psql);
    let demo = Demo::new(
        api,
        Chat::new(served.pools.chat.clone()),
        delivery.origin_policy.clone(),
        delivery.typing.clone(),
        psql.as_deref(),
    );
    routes.merge(demo.routes())
}

/// What an operator sees of this server.
fn inspector(
    config: &Config,
    served: &Served,
    delivery: &Delivery,
    health: &Arc<Health>,
    access: &AdminAccess,
) -> Arc<Inspector> {
    Inspector::new(InspectorParts {
        sockets: delivery.socket_server.inspection(),
        health: health.clone(),
        metrics: delivery.metrics.clone(),
        database: served.database.clone(),
        pool: served.pools.http.clone(),
        retention: config.retention,
        is_embedded: served.embedded.is_some(),
        asks_policy: config.policy.is_asked,
        may_write: config.admin_rules.may_write,
        access: access.clone(),
    })
}

/// Sets the metrics that are measured only when somebody reads them.
fn measure(
    served: &Served,
    delivery: &Delivery,
    health: Arc<Health>,
) -> impl Fn() + Send + Sync + 'static {
    let (metrics, notifier) = (delivery.metrics.clone(), delivery.notifier.clone());
    let revocations = delivery.revocations.clone();
    let pools = served.pools.clone();
    let measure_clients = delivery.socket_server.meter();
    move || {
        measure_clients();
        metrics.measure_process();
        for figures in pools.figures() {
            metrics.pool(figures);
        }
        metrics.revocations.set(revocations.len() as i64);
        metrics.long_polls.set(notifier.watches() as i64);
        metrics
            .lag_seconds
            .set(health.lag().unwrap_or_default().as_secs_f64());
        for (check, passes) in health.by_check() {
            metrics.ready(check, passes);
        }
    }
}
