//! The connections, by what they are for.
//!
//! Each kind of work has a few connections of its own, so that a flood of one kind never makes another wait. A connection is
//! opened when it is first needed. The reader and the listener are not served from here: each opens its one connection itself
//! (`outbox::follow`, `listen`).
//! A role or a database may be allowed fewer connections than all of them: then each kind has fewer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Postgres, SqlSafeStr, Transaction};

use super::Database;
use super::link::{Link, Settings};
use crate::metrics::PoolFigures;

/// Sessions, pruning, probes and figures.
const MAIN_CONNECTIONS: u32 = 8;
/// Reads of replays at a time, on as many connections.
pub(super) const REPLAY_CONNECTIONS: u32 = 3;
/// Reads over HTTP at a time, on as many connections.
const HTTP_CONNECTIONS: u32 = 4;
/// Statements of the demo at a time, on as many connections.
const CHAT_CONNECTIONS: u32 = 3;
/// Questions to the policy at a time, on as many connections.
pub(super) const POLICY_CONNECTIONS: u32 = 4;
/// What one server takes at most: its pools, the reader's connection, and the listener's.
pub(super) const SERVER_CONNECTIONS: u32 = MAIN_CONNECTIONS
    + REPLAY_CONNECTIONS
    + HTTP_CONNECTIONS
    + CHAT_CONNECTIONS
    + POLICY_CONNECTIONS
    + 2;

/// A commit waits for the disk, whatever the database's own setting: a join is acknowledged once its row outlives a crash.
const MAIN: Settings = Settings {
    local: &[("synchronous_commit", "local")],
    read_only: false,
};
/// The planner may believe that the outbox is still as empty as at the last statistics, and scan it: it is not allowed to.
const READS: Settings = Settings {
    local: &[("enable_seqscan", "off"), ("statement_timeout", "60s")],
    read_only: true,
};
/// What else holds while the policy is asked, each transaction says.
const POLICY: Settings = Settings {
    local: &[],
    read_only: true,
};
/// UTC, so that a time reads the same in a list as in an event. Commits wait for the disk, so that a message which was
/// reported as sent outlives a crash.
const CHAT: Settings = Settings {
    local: &[
        ("timezone", "UTC"),
        ("statement_timeout", "5s"),
        ("synchronous_commit", "local"),
    ],
    read_only: false,
};

/// Some connections of the database.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    database: Database,
    name: &'static str,
    connections: u32,
    /// A caller waits for a connection no longer.
    patience: Duration,
    settings: Settings,
    /// Made when it is first needed, because only then is it known how many connections there may be.
    pool: OnceLock<PgPool>,
    /// Whether the pool opens connections that may be shared.
    pooled: AtomicBool,
    /// How often somebody waited for a connection in vain.
    timeouts: AtomicU64,
}

/// Every pool of the server.
#[derive(Clone)]
pub(crate) struct Pools {
    /// For everything that has no pool of its own.
    pub main: Pool,
    /// For replays: however many clients come back at once, the database does so much for them at a time.
    pub replay: Pool,
    /// For reads over HTTP, however many ask: they wait here, and not before what the server itself needs.
    pub http: Pool,
    /// For what the demo reads and writes.
    pub chat: Pool,
    /// For the policy, which may hang, and for nothing else.
    pub policy: Pool,
}

impl Pools {
    /// Pools that have no connection yet.
    pub(crate) fn new(database: &Database) -> Self {
        let pool = |name, connections, patience_s, settings| {
            Pool(Arc::new(Inner {
                database: database.clone(),
                name,
                connections,
                patience: Duration::from_secs(patience_s),
                settings,
                pool: OnceLock::new(),
                pooled: AtomicBool::new(false),
                timeouts: AtomicU64::new(0),
            }))
        };
        Self {
            main: pool("rowcast", MAIN_CONNECTIONS, 5, MAIN),
            replay: pool("rowcast replay", REPLAY_CONNECTIONS, 5, READS),
            http: pool("rowcast http", HTTP_CONNECTIONS, 2, READS),
            chat: pool("rowcast demo", CHAT_CONNECTIONS, 2, CHAT),
            policy: pool("rowcast policy", POLICY_CONNECTIONS, 5, POLICY),
        }
    }

    /// What is known of each.
    pub(crate) fn figures(&self) -> impl Iterator<Item = PoolFigures> {
        self.all().into_iter().map(Pool::figures)
    }

    /// In the order in which they are closed.
    fn all(&self) -> [&Pool; 5] {
        [
            &self.http,
            &self.chat,
            &self.policy,
            &self.replay,
            &self.main,
        ]
    }

    /// Ends every connection, once whoever has one gave it back.
    pub(crate) async fn close(&self) {
        let opened = self.all().into_iter().filter_map(|pool| pool.0.pool.get());
        join_all(opened.map(PgPool::close)).await;
    }
}

impl Pool {
    /// Gives a connection, and says whether its backend is ours alone.
    ///
    /// # Errors
    /// The database's own; or there is none in time.
    pub(super) async fn acquire(&self) -> sqlx::Result<(PoolConnection<Postgres>, Link)> {
        let link = self.link().await?;
        let pool = self.pool(link);
        match pool.acquire().await {
            Ok(connection) => Ok((connection, link)),
            Err(error) => Err(self.explain(error, pool).await),
        }
    }

    /// Begins a transaction with a statement that says all of its settings, and says whether the connection is direct.
    ///
    /// # Errors
    /// The database's own; or there is no connection in time.
    pub(super) async fn begin_with(
        &self,
        begin: impl SqlSafeStr,
    ) -> sqlx::Result<(Transaction<'static, Postgres>, bool)> {
        let link = self.link().await?;
        let pool = self.pool(link);
        match pool.begin_with(begin).await {
            Ok(transaction) => Ok((transaction, link == Link::Direct)),
            Err(error) => Err(self.explain(error, pool).await),
        }
    }

    /// What a transaction of this pool has to set where it can't be the connection's.
    pub(super) fn settings(&self) -> Settings {
        self.0.settings
    }

    fn figures(&self) -> PoolFigures {
        let inner = &self.0;
        let pool = inner.pool.get();
        let open = pool.map_or(0, PgPool::size);
        let idle = pool.map_or(0, |pool| u32::try_from(pool.num_idle()).unwrap_or(open));
        PoolFigures {
            pool: inner.name.strip_prefix("rowcast ").unwrap_or("main"),
            used: open.saturating_sub(idle),
            idle: idle.min(open),
            most: pool.map_or(inner.connections, |pool| {
                pool.options().get_max_connections()
            }),
            timeouts: inner.timeouts.load(Ordering::Relaxed),
        }
    }

    async fn link(&self) -> sqlx::Result<Link> {
        let patience = self.0.patience;
        tokio::time::timeout(patience, self.0.database.link())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    fn pool(&self, link: Link) -> &PgPool {
        let inner = &self.0;
        let options = || inner.database.linked(inner.name, link, inner.settings);
        let pooled = link == Link::Pooled;
        let pool = inner.pool.get_or_init(|| {
            inner.pooled.store(pooled, Ordering::Relaxed);
            self.build().connect_lazy_with(options())
        });
        if inner.pooled.swap(pooled, Ordering::Relaxed) != pooled {
            pool.set_connect_options(options());
        }
        pool
    }

    fn build(&self) -> PgPoolOptions {
        let (opened, kept) = (self.0.database.clone(), self.0.database.clone());
        PgPoolOptions::new()
            .max_connections(share(
                self.0.connections,
                self.0.database.link.connection_limit(),
            ))
            .min_connections(0)
            .acquire_timeout(self.0.patience)
            .after_connect(move |connection, _| {
                let database = opened.clone();
                Box::pin(async move {
                    match database.link.known() {
                        Some(Link::Pooled) => Ok(()),
                        _ => database.link.require_direct(connection).await,
                    }
                })
            })
            .before_acquire(move |_, meta| {
                let trusted = kept.link.trusts(meta.age);
                Box::pin(async move { Ok(trusted) })
            })
    }

    /// sqlx hides why no connection could be opened in time: one more attempt tells.
    async fn explain(&self, error: sqlx::Error, pool: &PgPool) -> sqlx::Error {
        if let sqlx::Error::PoolTimedOut = error {
            self.0.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        match error {
            sqlx::Error::PoolTimedOut if pool.size() < pool.options().get_max_connections() => {
                match self.0.database.find_link().await {
                    Err(why) => why,
                    Ok(_) => sqlx::Error::PoolTimedOut,
                }
            }
            sqlx::Error::Database(_) => {
                self.0.database.link.forget();
                error
            }
            error => error,
        }
    }
}

/// How many of `connections` a pool may have where `limit` connections are allowed in all.
fn share(connections: u32, limit: Option<u32>) -> u32 {
    match limit {
        Some(limit) if limit < SERVER_CONNECTIONS => {
            let left = limit.saturating_sub(2);
            (connections * left / (SERVER_CONNECTIONS - 2)).max(1)
        }
        _ => connections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_is_shared() {
        let pools = [MAIN_CONNECTIONS, REPLAY_CONNECTIONS, HTTP_CONNECTIONS];
        let shares = |limit| pools.map(|connections| share(connections, limit));
        assert_eq!(shares(None), [8, 3, 4]);
        assert_eq!(shares(Some(SERVER_CONNECTIONS)), [8, 3, 4]);
        assert_eq!(shares(Some(8)), [2, 1, 1]);
        assert_eq!(
            shares(Some(5)),
            [1, 1, 1],
            "with the reader and the listener"
        );
    }
}
