//! The first step of the start: the listening sockets, open before the database is there.
//!
//! Owns the sockets, and which routes they serve. Until [`Listeners::serve`] the public one answers that the server starts, and
//! the admin one has the metrics that there are. A port that is taken stops the start here, before anything is waited for.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::tasks::{StopPhase, Tasks};
use crate::config::Config;
use crate::http;
use crate::metrics::Metrics;
use crate::status::StartStatus;
use crate::transport;

/// Where the server listens, and what it serves there.
pub(super) struct Listeners {
    pub(super) public: SocketAddr,
    /// `None` when it is off.
    admin: Option<SocketAddr>,
    public_routes: watch::Sender<Router>,
    admin_routes: watch::Sender<Router>,
}

/// Opens the public listener, and the admin listener where there is one. `status` says what the start waits for.
pub(super) async fn open(
    config: &Config,
    status: watch::Receiver<StartStatus>,
    metrics: &Metrics,
    registry: &Arc<Registry>,
    tasks: &mut Tasks,
) -> anyhow::Result<Listeners> {
    let (public_socket, public) = bind(&config.listen.to_string(), "HOST and PORT").await?;
    let admin = match config.admin {
        Some(address) => Some(bind(&address.to_string(), "ROWCAST_ADMIN").await?),
        None => None,
    };
    let (public_routes, routes) = watch::channel(Router::new());
    let starting = http::starting(status, routes.clone(), &config.origins, metrics.clone());
    // Not told as a change: the first change is the real routes.
    public_routes.send_if_modified(|routes| {
        *routes = starting;
        false
    });
    let head_timeout = config.limits.handshake_timeout;
    tasks.start("public listener", StopPhase::PublicListener, |stop| {
        transport::serve(public_socket, routes, head_timeout, stop)
    });
    let (admin_routes, routes) = watch::channel(http::admin(registry.clone(), || ()));
    let admin = admin.map(|(socket, address)| {
        tasks.start("admin listener", StopPhase::Rest, |stop| {
            transport::serve(socket, routes, head_timeout, stop)
        });
        address
    });
    let listeners = Listeners {
        public,
        admin,
        public_routes,
        admin_routes,
    };
    let admin = listeners.admin();
    tracing::info!(address = %public, admin, "listening, not ready yet");
    Ok(listeners)
}

impl Listeners {
    /// The admin listener's address for the log.
    pub(super) fn admin(&self) -> String {
        self.admin
            .map_or_else(|| "off".to_owned(), |address| address.to_string())
    }

    /// Serves these routes from now on. A connection that is open already has them with its next request.
    pub(super) fn serve(&self, public: Router, admin: Router) {
        drop(self.public_routes.send_replace(public));
        drop(self.admin_routes.send_replace(admin));
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
