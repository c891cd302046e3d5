//! The outbox: every SQL statement of the server.
//!
//! Owns the text of the queries and the shape of their rows. Above this module nobody knows SQL, and
//! nobody below it knows sockets. Relies on the schema that `migrations/` make.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::timeout;

// Numbers that SQL has, too: the advisory keys are explained in `migrations/0001_outbox.sql`, the sizes in
// `migrations/0004_capture.sql`.

/// Arguments of an advisory lock. Every reader that sleeps holds it, shared: a writer who can't have it must notify.
macro_rules! sleeping_reader_key {
    () => {
        "1919903602, 1"
    };
}

/// Arguments of an advisory lock. The one server that is removing old events holds it.
macro_rules! pruning_key {
    () => {
        "1919903602, 2"
    };
}

/// Bytes of a stored row that becomes jsonb without being tried first: unpacked, it can't reach jsonb's limit.
const UNTRIED_ROW_BYTES: u32 = 16_384;
/// Bytes of a payload that is sent whole at most, out of a row that is whole.
const WHOLE_PAYLOAD_BYTES: u32 = 16_777_216;
/// Bytes of a payload at most that has no stand-in for a large value in it, out of a row that may have some.
const BOUNDED_PAYLOAD_BYTES: u32 = 4_096;

mod chat;
mod epoch;
mod follow;
mod gather;
mod history;
mod migrate;
mod missed;
mod prune;
mod replays;
mod row;
mod sessions;
mod sources;
mod stats;
mod unflushed;

pub use chat::{Chat, ChatError, Conversation, Report};
pub use epoch::ReadError;
pub use follow::{Follow, FollowError};
pub use history::{HistoryError, Page, history};
pub use migrate::migrate;
pub use missed::{Missed, Want, missed};
pub use prune::Pruner;
pub use replays::{Read, Replays};
pub use sessions::{PidHash, Served, Session, Sessions, Stored, StoredRooms, Taken, parse_taken};
pub use sources::{Source, sources};
pub use stats::{Stats, probe, stats};

/// Reads of replays at a time, on as many connections.
pub const REPLAY_CONNECTIONS: u32 = 3;

/// Never a sequential scan of the outbox, which statistics of a table that was empty a minute ago invite to.
const REPLAY_SESSION: &str = "
set enable_seqscan = off;
set jit = off;
set statement_timeout = '60s';
set default_transaction_read_only = on";

/// Reads over HTTP at a time, on as many connections.
pub const HTTP_CONNECTIONS: u32 = 4;

/// Statements of the demo at a time, on as many connections.
const CHAT_CONNECTIONS: u32 = 3;

/// A time reads the same in a list as in an event. Who was told that a message is sent will find it after a crash.
const CHAT_SESSION: &str = "
set timezone = 'UTC';
set jit = off;
set statement_timeout = '5s';
set synchronous_commit = local";

/// Where the database is: what every connection of ours starts from.
#[derive(Clone)]
pub struct Database {
    options: PgConnectOptions,
}

impl Database {
    /// Takes the options as they come from the URL.
    pub fn new(options: PgConnectOptions) -> Self {
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

    /// A small pool for everything but the listener and the reader, which have their own connections.
    pub fn pool(&self) -> PgPool {
        // What a client is told to be kept must outlive a crash, whatever the database's own setting.
        let durable = "set synchronous_commit = local";
        self.pool_of("rowcast", 8, Duration::from_secs(5), durable)
    }

    /// A few connections for replays: however many clients come back at once, the database does so much for them at a time.
    pub fn replay_pool(&self) -> PgPool {
        let patience = Duration::from_secs(5);
        self.pool_of(
            "rowcast replay",
            REPLAY_CONNECTIONS,
            patience,
            REPLAY_SESSION,
        )
    }

    /// A few connections for reads over HTTP, however many ask: they wait here, and not before what the server itself needs.
    pub fn http_pool(&self) -> PgPool {
        let patience = Duration::from_secs(2);
        self.pool_of("rowcast http", HTTP_CONNECTIONS, patience, REPLAY_SESSION)
    }

    /// A few connections for what the demo reads and writes, which must not keep anything else waiting.
    pub fn chat_pool(&self) -> PgPool {
        self.pool_of(
            "rowcast demo",
            CHAT_CONNECTIONS,
            Duration::from_secs(2),
            CHAT_SESSION,
        )
    }

    /// At most so many connections, each begun by `session`; whoever wants one waits for `patience`.
    fn pool_of(
        &self,
        name: &str,
        connections: u32,
        patience: Duration,
        session: &'static str,
    ) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(0)
            .acquire_timeout(patience)
            .after_connect(move |connection, _| {
                Box::pin(async move { connection.execute(session).await.map(|_| ()) })
            })
            .connect_lazy_with(self.named(name))
    }

    /// A pool of one for the listener. The short time to acquire keeps its back-off short: it retries by itself.
    pub fn listener_pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .min_connections(0)
            .acquire_timeout(Duration::from_millis(500))
            .connect_lazy_with(self.named("rowcast listener"))
    }

    /// Connects once, outside any pool, which would hide why it failed.
    ///
    /// # Errors
    /// The database's own, or that of the network.
    pub async fn reach(&self) -> sqlx::Result<()> {
        let options = self.named("rowcast");
        let connected = timeout(Duration::from_secs(5), options.connect()).await;
        connected
            .map_err(|_| sqlx::Error::PoolTimedOut)??
            .close()
            .await
    }

    /// `host:port/database`, for the log. Never the user's password.
    pub fn describe(&self) -> String {
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

/// One statement's work on a connection of the pool. A connection that does not answer in time is closed: back in the
/// pool it would keep its place until TCP gives it up.
async fn within<T>(
    pool: &PgPool,
    patience: Duration,
    work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> sqlx::Result<T> {
    let mut connection = pool.acquire().await?;
    match timeout(patience, work(&mut connection)).await {
        Ok(done) => done,
        Err(_) => {
            drop(connection.detach());
            Err(sqlx::Error::PoolTimedOut)
        }
    }
}

/// Says that something waits for the database: a warning where waiting alone won't mend it.
pub fn log_wait(what: &str, error: &ReadError) {
    match error {
        ReadError::Recovering => tracing::debug!("{what} waits: {error}"),
        ReadError::Database(e) if is_transient(e) => tracing::debug!("{what} waits: {error}"),
        ReadError::Database(_) | ReadError::Snapshot(_) => tracing::warn!("{what} waits: {error}"),
    }
}

/// Whether waiting may mend it: the server is away, starting, full, or gave up this once (SQLSTATE classes 08, 40, 53, 57).
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            matches!(code.get(..2), Some("08" | "40" | "53" | "57")) || code == "55006"
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_migrations() {
        let outbox = include_str!("../migrations/0001_outbox.sql");
        for key in [sleeping_reader_key!(), pruning_key!()] {
            assert!(outbox.contains(&format!("--   ({key})  ")), "{key}");
        }
        let capture = include_str!("../migrations/0004_capture.sql");
        for bytes in [
            UNTRIED_ROW_BYTES,
            WHOLE_PAYLOAD_BYTES,
            BOUNDED_PAYLOAD_BYTES,
        ] {
            assert!(capture.contains(&format!("--{bytes:>11}  ")), "{bytes}");
        }
    }
}
