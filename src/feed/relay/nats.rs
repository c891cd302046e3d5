//! The client of NATS: how it connects, and what it says of that.
//!
//! A server's connects by itself, for ever.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

use crate::config::{Login, RelayUrl};

/// Who waits reads by itself meanwhile, so it is tried again soon: an attempt that began while the network was away may hang until then.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// Two pings that are not answered end the connection.
const PING_PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Messages that may wait to be heard.
const MOST_WAITING: usize = 4_096;

/// A client that connects to one of these servers. `failure` is what NATS last said that was no good.
///
/// # Errors
/// Why there is none, which is for addresses that it does not take.
pub(super) async fn connect(
    servers: &RelayUrl,
    failure: watch::Sender<Option<String>>,
) -> Result<Client, String> {
    let options = options(servers, failure).retry_on_initial_connect();
    connect_with(options, servers).await
}

/// One that is connected to one of these servers, each of which was tried once.
///
/// # Errors
/// Why there is none.
pub(super) async fn connect_once(
    servers: &RelayUrl,
    failure: watch::Sender<Option<String>>,
) -> Result<Client, String> {
    connect_with(options(servers, failure), servers).await
}

fn options(servers: &RelayUrl, failure: watch::Sender<Option<String>>) -> ConnectOptions {
    let options = ConnectOptions::new()
        .name("rowcast")
        .connection_timeout(CONNECT_PATIENCE)
        .ping_interval(PING_PAUSE)
        .subscription_capacity(MOST_WAITING)
        .reconnect_delay_callback(|attempts| {
            let doublings = attempts.min(8) as u32;
            let most = (FIRST_PAUSE * 2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE);
            rand::random_range(most / 2..=most)
        })
        .event_callback(move |event| {
            let failure = failure.clone();
            async move { note(&failure, &event) }
        });
    // The client heeds no login in an address.
    match servers.login() {
        Some(Login::User(user, password)) => {
            options.user_and_password(user.clone(), password.clone())
        }
        Some(Login::Token(token)) => options.token(token.clone()),
        None => options,
    }
}

async fn connect_with(options: ConnectOptions, servers: &RelayUrl) -> Result<Client, String> {
    let addresses: Result<Vec<ServerAddr>, _> = servers.servers().map(str::parse).collect();
    match addresses {
        Ok(addresses) => {
            let connected = options.connect(addresses).await;
            connected.map_err(|error| error.to_string())
        }
        Err(_) => Err("ROWCAST_RELAY has an address that the client of NATS does not take".into()),
    }
}

fn note(failure: &watch::Sender<Option<String>>, event: &Event) {
    match event {
        Event::Connected => drop(failure.send_replace(None)),
        Event::ServerError(_) | Event::ClientError(_) => {
            failure.send_replace(Some(event.to_string()));
        }
        _ => {}
    }
}
