//! The connections, by what they are for.
//!
//! Each kind of work has a few connections of its own, so that a flood of one kind never makes another wait. A connection is
//! opened when it is first needed. The reader and the listener are not served from here: each opens its one connection itself
//! (`outbox::follow`, `listen`).

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::Executor as _;
use sqlx::postgres::{PgPool, PgPoolOptions};

use super::Database;

/// Sessions, pruning, probes and figures.
const MAIN_CONNECTIONS: u32 = 8;
/// Reads of replays at a time, on as many connections.
pub(super) const REPLAY_CONNECTIONS: u32 = 3;
/// Reads over HTTP at a time, on as many connections.
const HTTP_CONNECTIONS: u32 = 4;
/// Statements of the demo at a time, on as many connections.
const CHAT_CONNECTIONS: u32 = 3;

/// What one server takes at most: its pools, the reader's connection, and the listener's.
pub(super) const SERVER_CONNECTIONS: u32 =
    MAIN_CONNECTIONS + REPLAY_CONNECTIONS + HTTP_CONNECTIONS + CHAT_CONNECTIONS + 2;

/// A commit waits for the disk, whatever the database's own setting: a join is acknowledged once its row outlives a crash.
/// In no pool are transactions serializable, whatever the database's own setting: a read of ours that is would make writers
/// fail who are, for what they have read of each other's.
const MAIN_SESSION: &str = "
set synchronous_commit = local;
set default_transaction_isolation = 'read committed'";
/// The planner may believe that the outbox is still as empty as at the last statistics, and scan it: it is not allowed to.
const READ_SESSION: &str = "
set enable_seqscan = off;
set jit = off;
set statement_timeout = '60s';
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = on";
/// UTC, so that a time reads the same in a list as in an event. Commits wait for the disk, so that a message which was
/// reported as sent outlives a crash.
const CHAT_SESSION: &str = "
set timezone = 'UTC';
set jit = off;
set statement_timeout = '5s';
set default_transaction_isolation = 'read committed';
set synchronous_commit = local";

/// Every pool of the server.
#[derive(Clone)]
pub(crate) struct Pools {
    /// For everything that has no pool of its own.
    pub main: PgPool,
    /// For replays: however many clients come back at once, the database does so much for them at a time.
    pub replay: PgPool,
    /// For reads over HTTP, however many ask: they wait here, and not before what the server itself needs.
    pub http: PgPool,
    /// For what the demo reads and writes.
    pub chat: PgPool,
}

impl Pools {
    /// Pools that have no connection yet.
    pub(crate) fn new(database: &Database) -> Self {
        let pool = |name, connections, patience_s, session| {
            pool_of(
                database,
                name,
                connections,
                Duration::from_secs(patience_s),
                session,
            )
        };
        Self {
            main: pool("rowcast", MAIN_CONNECTIONS, 5, MAIN_SESSION),
            replay: pool("rowcast replay", REPLAY_CONNECTIONS, 5, READ_SESSION),
            http: pool("rowcast http", HTTP_CONNECTIONS, 2, READ_SESSION),
            chat: pool("rowcast demo", CHAT_CONNECTIONS, 2, CHAT_SESSION),
        }
    }

    /// Ends every connection, once whoever has one gave it back.
    pub(crate) async fn close(&self) {
        let pools = [&self.http, &self.chat, &self.replay, &self.main];
        join_all(pools.map(PgPool::close)).await;
    }
}

/// A pool of at most so many connections. Each begins with the statements in `session`; a caller waits for one no longer than
/// `patience`.
fn pool_of(
    database: &Database,
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
        .connect_lazy_with(database.named(name))
}
