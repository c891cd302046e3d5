//! The fourth step of the start: the routes, and the listening sockets that serve them.
//!
//! Comes after the reader has begun, so that a client which connects at once can also join at once. The admin listener is
//! optional and ends last in the shutdown, so that metrics can be read until then.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::database::Served;
use super::delivery::Delivery;
use super::example;
use super::feed::Feed;
use super::tasks::{Phase, Tasks};
use crate::config::Config;
use crate::db::Chat;
use crate::demo::{self, Demo};
use crate::http::api::ApiRules;
use crate::http::{self, Api, Health, Public};
use crate::transport;

/// Where the server listens.
pub(super) struct Web {
    pub(super) public: SocketAddr,
    /// `None` when it is off.
    pub(super) admin: Option<SocketAddr>,
}

pub(super) async fn start(
    config: &Config,
    served: &Served,
    delivery: &Delivery,
    feed: &Feed,
    registry: Registry,
    tasks: &mut Tasks,
) -> anyhow::Result<Web> {
    let health = Arc::new(Health::new(
        feed.listener.clone(),
        feed.reader.clone(),
        feed.notify_queue.clone(),
        tasks.draining.clone(),
        config.poll,
    ));
    let public = Public {
        socketio: delivery.socketio.clone(),
        health: health.clone(),
        routes: routes(config, served, delivery, tasks),
        counted_routes: demo::ROUTES,
    };
    let public = http::public(public, &config.origins, delivery.metrics.clone());
    let (socket, public_address) = bind(&config.listen.to_string(), "HOST and PORT").await?;
    let head_timeout = config.limits.handshake_timeout;
    tasks.start("public listener", Phase::PublicListener, |stop| {
        transport::serve(socket, public, head_timeout, stop)
    });

    let mut admin_address = None;
    if let Some(admin) = config.admin {
        let (socket, address) = bind(&admin.to_string(), "ROWCAST_ADMIN").await?;
        admin_address = Some(address);
        let routes = http::admin(registry, measure(delivery, health));
        tasks.start("admin listener", Phase::Rest, |stop| {
            transport::serve(socket, routes, head_timeout, stop)
        });
    }
    Ok(Web {
        public: public_address,
        admin: admin_address,
    })
}

/// The API, and the demo or what stands in its place.
fn routes(config: &Config, served: &Served, delivery: &Delivery, tasks: &Tasks) -> Router {
    let rules = ApiRules {
        origin_policy: delivery.origin_policy.clone(),
        retention: config.retention,
        max_payload_bytes: config.max_payload_bytes,
        max_rate: config.limits.max_http_rate,
    };
    let api = Api::new(
        served.pools.http.clone(),
        delivery.notifier.clone(),
        rules,
        delivery.metrics.clone(),
        tasks.draining.clone(),
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

/// Sets the metrics that are measured only when somebody reads them.
fn measure(delivery: &Delivery, health: Arc<Health>) -> impl Fn() + Send + Sync + 'static {
    let (metrics, notifier) = (delivery.metrics.clone(), delivery.notifier.clone());
    let measure_clients = delivery.socket_server.meter();
    move || {
        measure_clients();
        metrics.long_polls.set(notifier.watches() as i64);
        metrics
            .lag_seconds
            .set(health.lag().unwrap_or_default().as_secs_f64());
    }
}

async fn bind(address: &str, variable: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await.with_context(|| {
        format!("{variable}: can't listen on {address}; give a free address, or port 0 for any")
    })?;
    let address = socket
        .local_addr()
        .with_context(|| format!("{variable}: the listener has no address"))?;
    Ok((socket, address))
}
