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

use super::file_limit;
use super::tasks::{StopPhase, Tasks};
use crate::auth::{HostNames, HostPolicy};
use crate::config::Config;
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
    let callers = callers(config);
    let starting = http::starting(status.clone(), routes.clone(), &callers, metrics.clone());
    // Not told as a change: the first change is the real routes.
    public_routes.send_if_modified(|routes| {
        *routes = starting;
        false
    });
    let rules = rules(config, metrics);
    let admin_rules = ConnectionRules {
        // Who reaches it is an operator.
        places: None,
        ..rules.clone()
    };
    tasks.start("public listener", StopPhase::PublicListener, |stop| {
        transport::serve(public_socket, routes, rules, stop)
    });
    let admin_access = AdminAccess::new(
        config.admin_rules.token.as_ref(),
        config.admin_is_loopback(),
    );
    let admin_page = http::admin(
        registry.clone(),
        callers.hosts.clone(),
        &admin_access,
        inspector::starting(&admin_access, status),
        || (),
    );
    let (admin_routes, routes) = watch::channel(admin_page);
    let admin = admin.map(|(socket, address)| {
        tasks.start("admin listener", StopPhase::Rest, |stop| {
            transport::serve(socket, routes, admin_rules, stop)
        });
        address
    });
    let listeners = Listeners {
        public,
        admin,
        callers,
        admin_access,
        public_routes,
        admin_routes,
    };
    let admin = listeners.admin();
    tracing::info!(address = %public, admin, "listening, not ready yet");
    Ok(listeners)
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
    }
}

/// What the public listener holds against connections.
fn rules(config: &Config, metrics: &Metrics) -> ConnectionRules {
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

async fn bind(address: &str, variable: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await.with_context(|| {
        format!("{variable}: can't listen on {address}; give a free address, or port 0 for any")
    })?;
    let address = socket
        .local_addr()
        .with_context(|| format!("{variable}: the listener has no address"))?;
    Ok((socket, address))
}
