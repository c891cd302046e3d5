//! What the start says once the server is ready: lines of the log, and lines for the person at the terminal.
//!
//! Refuses to print where everything is as the operator configured it: only the demo and the embedded Postgres have addresses
//! that somebody has to be told.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::database::Served;
use super::example;
use super::listeners::Listeners;
use super::sockets::reachable;
use super::tasks::{StopPhase, Tasks};
use crate::backoff::Backoff;
use crate::config::Config;
use crate::db::{self, Pool};
use crate::embedded::Embedded;
use crate::stdout::print_line;

/// For the list of the attached tables: nobody waits longer for the line that says that the server is ready.
const SOURCES_PATIENCE: Duration = Duration::from_secs(5);

/// Says that the server is ready, and what it serves.
pub(super) async fn ready(
    config: &Config,
    served: &Served,
    listeners: &Listeners,
    tasks: &mut Tasks,
) {
    tracing::info!(database = served.database.describe(), "connected");
    let pool = &served.pools.main;
    if let Err(error) = log_sources(pool).await {
        // Clients are served already: what can't be told now is told later.
        tracing::warn!("the attached tables can't be read yet, they are asked for again: {error}");
        let pool = pool.clone();
        tasks.start("announcement", StopPhase::Rest, |stop| {
            log_sources_later(pool, stop)
        });
    }
    tracing::info!(address = %listeners.public, admin = listeners.admin(), "ready");
    print_addresses(listeners.public, config, served.embedded.as_ref());
}

/// Logs the attached tables once they can be read. Ends with the server, as every task does.
async fn log_sources_later(pool: Pool, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let until_told = async {
        loop {
            sleep(backoff.next()).await;
            match log_sources(&pool).await {
                Ok(()) => break,
                Err(error) => tracing::debug!("the attached tables can't be read: {error}"),
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = until_told => {}
    }
}

async fn log_sources(pool: &Pool) -> anyhow::Result<()> {
    let sources = timeout(SOURCES_PATIENCE, db::sources(pool)).await??;
    for source in &sources {
        tracing::info!(source = source.source, room = source.room, "attached");
    }
    if sources.is_empty() {
        tracing::warn!(
            "no table is attached, so there are no events; attach one with: \
             select rowcast.attach('public.messages', room => 'conversation:{{contact_id}}', on_insert => 'message:new')"
        );
    }
    Ok(())
}

/// The lines for the person at the terminal, who opens the first address. Says nothing where all is as it was configured.
fn print_addresses(address: SocketAddr, config: &Config, embedded: Option<&Embedded>) {
    let demo = config.demo;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    if !demo && embedded.is_none() {
        return;
    }
    let mut lines = "\nRowcast is ready.\n\n".to_owned();
    if demo {
        lines += &format!("  Dashboard  {scheme}://{}/\n", reachable(address));
    }
    lines += &format!("  Socket.IO  {scheme}://{address}\n");
    if let Some(embedded) = embedded {
        lines += &format!(
            "  Database   {}\n\n\
             Paste this to make an event appear in the room conversation:{}:\n\n  {}\n",
            embedded.url(),
            example::CONTACT,
            example::psql(embedded)
        );
    }
    if let Err(error) = print_line(lines) {
        tracing::warn!("{error:#}");
    }
}
