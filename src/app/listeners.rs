//! The first step of the start: the listening sockets, open before the database is there.
//!
//! Owns the sockets, and which routes they serve. Until [`Listeners::serve`] the public one answers that the server starts, and
//! the admin one has the metrics that there are. A port that is taken stops the start here, before anything is waited for.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::file_limit;
use super::sockets::BoundSocket;
use super::tasks::{StopPhase, Tasks};
use crate::auth::{HostNames, HostPolicy};
use crate::config::{Config, PassedSockets};
use crate::http::{self, AdminAccess, Callers};
use crate::inspector;
use crate::metrics::Metrics;
use crate::quota::Places;
use crate::status::StartStatus;
use crate::transport::{self, ConnectionRules, Patience};

/// Where the server listens, and what it serves there.
pub(super) struct Listeners {
    pub(super) public: SocketAddr,
    /// `None` when it is off.
    admin: Option<SocketAddr>,
    /// Whose requests are looked at.
    pub(super) callers: Callers,
    /// Who may use the admin listener.
    pub(super) admin_access: AdminAccess,
    public_routes: watch::Sender<Router>,
    admin_routes: watch::Sender<Router>,
}

/// Opens the public listener, and the admin listener where there is one, on the `passed` sockets where there are some. With `tls`
/// both speak it. `status` says what the start waits for.
pub(super) async fn open(
    config: &Config,
    tls: Option<Arc<ServerConfig>>,
    passed: PassedSockets,
    status: watch::Receiver<StartStatus>,
    metrics: &Metrics,
    registry: &Arc<Registry>,
    tasks: &mut Tasks,
) -> anyhow::Result<Listeners> {
    let (public_socket, admin) = bind(config, passed).await?;
    let public = public_socket.address;
    let beside = public_socket.waits().await;
    let (public_routes, routes) = watch::channel(Router::new());
    let callers = callers(config);
    let readyz = http::starting_readyz(status.clone());
    let starting = http::starting(status.clone(), routes.clone(), &callers, metrics.clone());
    // Not told as a change: the first change is the real routes.
    public_routes.send_if_modified(|routes| {
        *routes = starting;
        false
    });
    let rules = rules(config, tls, metrics);
    let admin_rules = rules.clone();
    tasks.start("public listener", StopPhase::PublicListener, |stop| {
        serve_public(public_socket, routes, rules, stop)
    });
    let measured = metrics.clone();
    let admin_access = AdminAccess::new(
        config.admin_rules.token.as_ref(),
        config.admin_is_loopback(),
    );
    let admin_page = http::admin(
        registry.clone(),
        callers.hosts.clone(),
        &admin_access,
        inspector::starting(&admin_access, status),
        readyz,
        move || measured.measure_process(),
    );
    let (admin_routes, routes) = watch::channel(admin_page);
    let admin = match admin {
        Some(socket) => Some(serve_admin(socket, routes, admin_rules, tasks)?),
        None => None,
    };
    let listeners = Listeners {
        public,
        admin,
        callers,
        admin_access,
        public_routes,
        admin_routes,
    };
    let admin = listeners.admin();
    if beside {
        tracing::info!(address = %public, "another server listens here: this one will once it is ready");
    }
    tracing::info!(address = %public, admin, "listening, not ready yet");
    Ok(listeners)
}

async fn bind(
    config: &Config,
    passed: PassedSockets,
) -> anyhow::Result<(BoundSocket, Option<BoundSocket>)> {
    let reuse_port = config.reuse_port;
    let public = config.listen.to_string();
    let public = BoundSocket::open(passed.public, &public, "HOST and PORT", reuse_port).await?;
    let admin = match config.admin {
        Some(address) => {
            let address = address.to_string();
            Some(BoundSocket::open(passed.admin, &address, "ROWCAST_ADMIN", reuse_port).await?)
        }
        None => None,
    };
    Ok((public, admin))
}

/// Serves operators from now on, and says where.
fn serve_admin(
    socket: BoundSocket,
    routes: watch::Receiver<Router>,
    rules: ConnectionRules,
    tasks: &mut Tasks,
) -> anyhow::Result<SocketAddr> {
    let rules = ConnectionRules {
        // Who reaches it is an operator.
        places: None,
        ..rules
    };
    let address = socket.address;
    let socket = socket.listen().context("ROWCAST_ADMIN: can't listen")?;
    tasks.start("admin listener", StopPhase::Rest, |stop| {
        transport::serve(socket, routes, rules, stop)
    });
    Ok(address)
}

async fn serve_public(
    socket: BoundSocket,
    routes: watch::Receiver<Router>,
    rules: ConnectionRules,
    stop: CancellationToken,
) {
    let listening = tokio::select! {
        listening = socket.listen_in_time(routes.clone()) => listening,
        () = stop.cancelled() => return,
    };
    match listening {
        Ok(listening) => transport::serve(listening, routes, rules, stop).await,
        Err(error) => tracing::error!("HOST and PORT: can't listen: {error}"),
    }
}

fn callers(config: &Config) -> Callers {
    let names = HostNames {
        origins: config.origins.clone(),
        allowed: config.allowed_hosts.clone(),
        own: config.listen.host.clone(),
    };
    Callers {
        origins: config.origins.clone(),
        hosts: HostPolicy::new(names, config.refuse_forwarded),
        hsts: config.tls.as_ref().and_then(|tls| tls.hsts),
    }
}

/// What the public listener holds against connections.
fn rules(config: &Config, tls: Option<Arc<ServerConfig>>, metrics: &Metrics) -> ConnectionRules {
    let limits = &config.limits;
    let most = file_limit::connections(limits.max_connections);
    ConnectionRules {
        patience: Patience {
            head: limits.handshake_timeout,
            idle: limits.keep_alive,
            answer: limits.answer_timeout,
        },
        proxies: config.trusted_proxies.clone(),
        places: Some(Places::new(most, limits.max_connections_per_address)),
        tls,
        metrics: metrics.clone(),
        named: Arc::default(),
    }
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
