//! Every SQL statement of the server.
//!
//! Owns the text of the queries and the shape of their rows. No other module has SQL, and this one knows nothing of sockets,
//! of who is in a room, or of HTTP. Relies on the schema that `migrations/` make.
//!
//! - `outbox`: what the reader follows, what replays and HTTP read, and what is pruned
//! - `sessions`: the resume sessions; `history`: the messages of a room, read from the attached tables
//! - `listen`: LISTEN; `notify_queue`: the notification by which a server probes itself, and how full the queue of all is
//! - `pools`: the connections, by what they are for; `query_batcher`: many questions in one statement
//! - `retry`: which errors pass by themselves; `read_error`: why a read failed
//! - `prepare`, `migrate`: waiting for the database, and its schema
//! - `sources`: the attached tables; `stats`: the figures for the metrics; `chat`: the demo's tables

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
/// Some connections of the database.
pub(crate) use sqlx::postgres::PgPool as Pool;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;

mod chat;
mod history;
mod listen;
mod migrate;
mod notify_queue;
mod numbers;
mod outbox;
mod pools;
mod prepare;
mod query_batcher;
mod read_error;
mod retry;
mod sessions;
mod sources;
mod stats;

pub(crate) use chat::{Chat, ChatError, Conversation, Report};
pub(crate) use history::{HistoryError, history};
pub(crate) use listen::{Heard, Listen, ListenError};
pub(crate) use migrate::migrate;
pub(crate) use notify_queue::{notify_queue_holder, send_probe};
pub(crate) use outbox::{
    Follow, FollowError, Head, LogPosition, Pruner, ReadPart, SharedReads, replay_page,
};
pub(crate) use pools::Pools;
pub(crate) use prepare::prepare;
pub(crate) use read_error::log_wait;
pub(crate) use retry::is_transient;
pub(crate) use sessions::{
    PidHash, ResumeSession, SessionProgress, Sessions, StoredSession, Takeover, parse_takeovers,
};
pub(crate) use sources::sources;
pub(crate) use stats::stats;

/// How long a connection attempt may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Where the database is: what every connection of ours starts from.
#[derive(Clone)]
pub(crate) struct Database {
    options: PgConnectOptions,
}

impl Database {
    /// Takes the options as they come from the URL.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        Self { options }
    }

    /// The options for a connection whose `application_name` says what it is for.
    fn named(&self, name: &str) -> PgConnectOptions {
        // A slow statement's text says nothing that its caller does not say better.
        self.options
            .clone()
            .application_name(name)
            .disable_statement_logging()
    }

    /// Connects once, outside any pool, which would hide why it failed.
    ///
    /// # Errors
    /// The database's own, or that of the network.
    pub(crate) async fn try_connect(&self) -> sqlx::Result<()> {
        let options = self.named("rowcast");
        let connected = timeout(CONNECT_PATIENCE, options.connect()).await;
        connected
            .map_err(|_| sqlx::Error::PoolTimedOut)??
            .close()
            .await
    }

    /// `host:port/database`, for the log. Never the user's password.
    pub(crate) fn describe(&self) -> String {
        let database = self
            .options
            .get_database()
            .unwrap_or(self.options.get_username());
        match self.options.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!(
                "{}:{}/{database}",
                self.options.get_host(),
                self.options.get_port()
            ),
        }
    }
}
