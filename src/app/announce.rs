//! What the start says once the server is ready: lines of the log, and lines for the person at the terminal.
//!
//! Refuses to print where everything is as the operator configured it: only the demo and the embedded Postgres have addresses
//! that somebody has to be told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::database::Served;
use super::example;
use super::web::Web;
use crate::config::Config;
use crate::db;
use crate::embedded::Embedded;

/// Says that the server is ready, and what it serves.
pub(super) async fn ready(config: &Config, served: &Served, web: &Web) -> anyhow::Result<()> {
    log_sources(served).await;
    let admin = web
        .admin
        .map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(address = %web.public, admin, "ready");
    print_addresses(web.public, config.demo, served.embedded.as_ref());
    Ok(())
}

async fn log_sources(served: &Served) {
    tracing::info!(database = served.database.describe(), "connected");
    let sources = match db::sources(&served.pools.main).await {
        Ok(sources) => sources,
        // It passes, as when all connections are taken, or readiness tells.
        Err(error) => {
            tracing::warn!("the attached tables can't be read: {error}");
            return;
        }
    };
    for source in &sources {
        tracing::info!(source = source.source, room = source.room, "attached");
        for problem in &source.problems {
            tracing::warn!(source = source.source, "{problem}");
        }
    }
    if sources.is_empty() {
        tracing::warn!(
            "no table is attached, so there are no events; attach one with: \
             select rowcast.attach('public.messages', room => 'conversation:{{contact_id}}', on_insert => 'message:new')"
        );
    }
}

/// The lines for the person at the terminal, who opens the first address. Says nothing where all is as it was configured.
#[expect(
    clippy::print_stdout,
    reason = "meant for the person at the terminal, not for the log"
)]
fn print_addresses(address: SocketAddr, demo: bool, embedded: Option<&Embedded>) {
    if !demo && embedded.is_none() {
        return;
    }
    let mut lines = "\nRowcast is ready.\n\n".to_owned();
    if demo {
        lines += &format!("  Dashboard  http://{}/\n", reachable(address));
    }
    lines += &format!("  Socket.IO  http://{address}\n");
    if let Some(embedded) = embedded {
        lines += &format!(
            "  Database   {}\n\n\
             Paste this to make an event appear in the room conversation:{}:\n\n  {}\n",
            embedded.url(),
            example::CONTACT,
            example::psql(embedded)
        );
    }
    println!("{lines}");
}

/// The address by which a browser on this machine reaches the listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
