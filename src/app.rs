//! Puts the server together, supervises it, and stops it in order.
//!
//! The only module that knows all others. Start: database, migrations, LISTEN, the present, bind, ready.
//! Stop: unready, the reader finishes its batch, no new connections, sockets closed, listener, pool; one deadline over
//! all of it. A background task that ends ends the process: a server that lost a part must not look alive.

#![expect(
    clippy::disallowed_methods,
    reason = "the one module that spawns, because it is the one that watches"
)]

mod announce;
mod database;
mod stop;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::PgPool;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::auth::Pages;
use crate::config::Config;
use crate::embedded::Embedded;
use crate::gateway::{Broadcast, Gateway, Hub, replay, sessions, typing};
use crate::http::{self, Api, Demo, Health, Rules};
use crate::listener::{Hearing, Listener};
use crate::metrics::Metrics;
use crate::outbox::{Chat, Follow, Pruner, Replays, Sessions};
use crate::reader::{Progress, Reader};
use crate::shutdown::Signals;
use crate::{probe, retention, server};
use announce::{announce, print_addresses};
pub use database::{database, prepare};

/// How long the start waits for LISTEN. Where it can't be had (a pooler in transaction mode), the poll delivers.
const LISTEN_PATIENCE: Duration = Duration::from_secs(5);
/// Long-polls that may wait at a time.
const MAX_LONG_POLLS: usize = 10_000;
/// Typing notifications that may wait to be relayed.
const TYPING_QUEUE: usize = 1024;
/// Notifications of sessions taken over that may wait.
const TAKEN_QUEUE: usize = 1024;

/// Runs the server until a signal asks for its end.
///
/// # Errors
/// What kept it from starting, or the background task that ended.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::take().context("signals can't be handled")?;
    let stopped = tokio::select! {
        started = start(&config) => Ok(started?),
        signal = signals.next() => Err(signal),
    };
    let app = match stopped {
        Ok(app) => app,
        Err(signal) => {
            tracing::info!(signal, "stopped before it was ready");
            return Ok(());
        }
    };
    app.run(signals, config.drain).await
}

/// A server that is ready.
struct App {
    gateway: Gateway,
    pools: [PgPool; 3],
    embedded: Option<Embedded>,
    stop: Stop,
    /// Ends by cancellation only; each gives its name when it does.
    tasks: JoinSet<&'static str>,
    reader: JoinHandle<()>,
    public: JoinHandle<()>,
}

/// What ends what, in the order of the drain.
#[derive(Default)]
struct Stop {
    draining: CancellationToken,
    reader: CancellationToken,
    server: CancellationToken,
    rest: CancellationToken,
}

async fn start(config: &Config) -> anyhow::Result<App> {
    let (database, embedded) = database(config).await?;
    let pool = database.pool();
    prepare(&database, &pool, embedded.as_ref(), embedded.is_some()).await?;

    let (metrics, registry) = Metrics::new();
    let stop = Stop::default();
    let mut tasks = JoinSet::new();
    let name = format!("{:016x}", rand::random::<u64>());

    let (wake, woken) = watch::channel(());
    let (typing_tx, typing_rx) = mpsc::channel(TYPING_QUEUE);
    let (hearing_tx, mut hearing) = watch::channel(Hearing::default());
    let (progress_tx, mut progress) = watch::channel(Progress::default());
    let (taken_tx, taken) = mpsc::channel(TAKEN_QUEUE);
    let (hub, behind) = Hub::new(config.limits.max_rooms, wake.clone(), metrics.clone());

    let listener = Listener::new(
        database.clone(),
        wake,
        (typing_tx.clone(), taken_tx),
        hearing_tx,
        name.clone(),
        metrics.clone(),
    );
    tasks.spawn(named("listener", listener.run(stop.rest.clone())));
    if timeout(LISTEN_PATIENCE, hearing.wait_for(|hearing| hearing.bound))
        .await
        .is_err()
    {
        tracing::warn!("LISTEN is not in force yet: events are delivered by the poll meanwhile");
    }

    let follow = Follow::new(database.clone(), config.max_payload_bytes, metrics.clone());
    let arrivals = Arrivals::new(MAX_LONG_POLLS);
    let broadcast = Broadcast::new(hub.clone(), arrivals.clone());
    let reader = Reader::new(
        follow,
        broadcast,
        woken,
        config.poll,
        progress_tx,
        metrics.clone(),
    );
    let reader = tokio::spawn(reader.run(stop.reader.clone()));
    progress
        .wait_for(|progress| progress.caught_up.is_some())
        .await
        .context("the reader ended")?;

    let mut heard = hearing.clone();
    let health = Arc::new(Health::new(
        hearing,
        progress,
        stop.draining.clone(),
        config.poll,
    ));
    tasks.spawn(named(
        "typing",
        typing::run(hub.clone(), typing_rx, stop.rest.clone()),
    ));
    let replays = Arc::new(Replays::new(&database, config.max_payload_bytes));
    tasks.spawn(named(
        "replay",
        replay::run(hub.clone(), replays.clone(), behind, stop.rest.clone()),
    ));
    let kept = Arc::new(Sessions::new(pool.clone()));
    tasks.spawn(named(
        "sessions",
        sessions::run(
            hub.clone(),
            kept.clone(),
            config.retention,
            taken,
            stop.rest.clone(),
        ),
    ));
    let pruner = Pruner::new(pool.clone(), config.retention);
    tasks.spawn(named(
        "retention",
        retention::run(pruner, metrics.clone(), stop.rest.clone()),
    ));
    tasks.spawn(named(
        "probe",
        probe::run(pool.clone(), name, metrics.clone(), stop.rest.clone()),
    ));

    let pages = Pages::new(config.origins.clone(), config.demo);
    let (gateway, socketio) = Gateway::new(
        hub.clone(),
        (kept, replays),
        pages.clone(),
        &config.limits,
        metrics.clone(),
    );
    let http_pool = database.http_pool();
    let rules = Rules {
        pages: pages.clone(),
        retention: config.retention,
        max_payload_bytes: config.max_payload_bytes,
        max_rate: config.limits.max_http_rate,
    };
    let api = Api::new(
        http_pool.clone(),
        arrivals.clone(),
        rules,
        metrics.clone(),
        stop.draining.clone(),
    );
    let chat_pool = database.chat_pool();
    let mut routes = api.routes();
    if config.demo {
        let psql = embedded.as_ref().map(announce::psql);
        let chat = Chat::new(chat_pool.clone());
        let demo = Demo::new(api, chat, pages, typing_tx, psql.as_deref());
        routes = routes.merge(demo.routes());
    } else {
        routes = routes.merge(http::demo_off());
    }
    let public = http::public(
        socketio,
        health.clone(),
        routes,
        &config.origins,
        config.limits.max_message_bytes,
        metrics.clone(),
        stop.draining.clone(),
    );
    let public_socket = bind(config.listen.to_string(), "HOST and PORT").await?;
    let address = public_socket
        .local_addr()
        .context("the public listener has no address")?;
    let head_timeout = config.limits.handshake_timeout;
    let public = tokio::spawn(server::serve(
        public_socket,
        public,
        head_timeout,
        stop.server.clone(),
    ));

    let mut admin_address = "off".to_owned();
    if let Some(admin) = config.admin {
        let admin_socket = bind(admin.to_string(), "ROWCAST_ADMIN").await?;
        admin_address = admin_socket
            .local_addr()
            .context("the admin listener has no address")?
            .to_string();
        let measure = move || {
            hub.measure();
            metrics.long_polls.set(arrivals.watches() as i64);
            metrics
                .lag_seconds
                .set(health.lag().unwrap_or_default().as_secs_f64());
        };
        let admin = http::admin(registry, measure);
        tasks.spawn(named(
            "admin",
            server::serve(admin_socket, admin, head_timeout, stop.rest.clone()),
        ));
    }

    if timeout(
        LISTEN_PATIENCE,
        heard.wait_for(|hearing| hearing.probed.is_some()),
    )
    .await
    .is_err()
    {
        tracing::warn!(
            "no notification of our own has come round yet: /readyz says 503 until one does"
        );
    }
    announce(&database, &pool).await?;
    tracing::info!(address = %address, admin = admin_address, "ready");
    print_addresses(address, config.demo, embedded.as_ref());
    Ok(App {
        gateway,
        pools: [http_pool, chat_pool, pool],
        embedded,
        stop,
        tasks,
        reader,
        public,
    })
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

async fn bind(address: String, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(&address).await.with_context(|| {
        format!("{variable}: can't listen on {address}; give a free address, or port 0 for any")
    })
}
