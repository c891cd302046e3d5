//! Puts the server together, supervises it, and stops it in order.
//!
//! The only module that knows all others. [`start`] is a list of steps, each in a file of its own: `certificate`, `listeners`, `authentication`, `database`,
//! `delivery`, `feed`, `web`, `announce`. A step needs what those before return, so their order is the compiler's. `tasks` has
//! the background tasks, `stop` has the order of the shutdown.
//! Guarantees that a background task which ends by itself ends the process: a server that lost a part must not look alive.

mod announce;
mod authentication;
mod certificate;
mod database;
mod delivery;
mod example;
mod feed;
mod file_limit;
mod listeners;
mod presence;
mod service_manager;
mod sockets;
mod stop;
mod tasks;
mod web;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::config::{Config, PassedSockets};
use crate::db::Pools;
use crate::embedded::Embedded;
use crate::metrics::Metrics;
use crate::shutdown::Signals;
use crate::socketio::SocketServer;
use crate::status::{Checks, ReaderStatus, StartStatus};
use crate::telemetry::SpanExport;
use service_manager::Serving;
use tasks::{StopPhase, Tasks};

/// Runs the server until a signal asks for its end.
///
/// # Errors
/// What kept it from starting, or the background task that ended.
pub(crate) async fn serve(
    config: Config,
    sockets: PassedSockets,
    spans: Option<SpanExport>,
) -> anyhow::Result<()> {
    let mut signals = Signals::take().context("signals can't be handled")?;
    let stopped = tokio::select! {
        started = start(&config, sockets, spans) => Ok(started?),
        signal = signals.next() => Err(signal),
    };
    let app = match stopped {
        Ok(app) => app,
        Err(signal) => {
            service_manager::tell_stop();
            tracing::info!(signal, "stopped before it was ready");
            return Ok(());
        }
    };
    app.run(signals, config.drain).await
}

/// A server that is ready.
struct App {
    socket_server: SocketServer,
    pools: Pools,
    embedded: Option<Embedded>,
    tasks: Tasks,
    /// What the reader says of itself.
    reader: watch::Receiver<ReaderStatus>,
    /// Makes the reader look.
    wake: watch::Sender<()>,
}

async fn start(
    config: &Config,
    sockets: PassedSockets,
    spans: Option<SpanExport>,
) -> anyhow::Result<App> {
    let (metrics, registry) = Metrics::new();
    let registry = Arc::new(registry);
    let checks = Checks::default();
    let mut tasks = Tasks::default();
    let (waiting, status) = watch::channel(StartStatus::default());

    if let Some(spans) = spans {
        export_spans(spans, config, &metrics, &mut tasks);
    }
    let tls = certificate::start(config, &metrics, &checks, &mut tasks)?;
    let listeners = listeners::open(
        config, tls, sockets, status, &metrics, &registry, &mut tasks,
    )
    .await?;
    let service_manager = service_manager::start(waiting.subscribe(), &mut tasks);
    let authentication = authentication::start(config, &metrics, &checks, &mut tasks)?;
    let database = database::start(config, &waiting).await?;
    let (delivery, channels) = delivery::start(
        config,
        authentication,
        &database,
        &metrics,
        &checks,
        &mut tasks,
    );
    let wake = channels.wake.clone();
    let feed = feed::start(
        config, &database, channels, &waiting, &metrics, &checks, &mut tasks,
    )
    .await?;
    let health = web::start(
        config, &database, &delivery, &feed, registry, &mut tasks, &listeners,
    );
    feed.wait_for_probe().await;
    announce::ready(config, &database, &listeners, &mut tasks).await;
    let serving = Serving {
        address: listeners.public,
        health,
        reader: feed.reader.clone(),
    };
    // Its task is there for as long as the server is.
    let _ = service_manager.send(serving);

    Ok(App {
        socket_server: delivery.socket_server,
        pools: database.pools,
        embedded: database.embedded,
        tasks,
        reader: feed.reader,
        wake,
    })
}

fn export_spans(spans: SpanExport, config: &Config, metrics: &Metrics, tasks: &mut Tasks) {
    // What comes after it in the drain needs time as well.
    let (patience, metrics) = (config.drain / 8, metrics.clone());
    tasks.start("span export", StopPhase::Rest, |stop| {
        spans.run(patience, metrics, stop)
    });
}
