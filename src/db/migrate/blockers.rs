//! Who holds the locks that a migration waits for.
//!
//! Asks on a connection of its own, while the migration waits: afterwards Postgres doesn't know any more. Where that connection
//! can't be had, who it is stays unknown, and the migration goes on all the same.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnection;
use tokio::time::{sleep, timeout};

use super::value;
use crate::db::link::Link;
use crate::db::{Database, PLAIN};

/// A migration waits for 50 ms: it is asked after several times in that.
const PAUSE: Duration = Duration::from_millis(8);
const PATIENCE: Duration = Duration::from_secs(2);

const BLOCKERS: &str = "
select a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, ''), coalesce(a.usename::text, ''), coalesce(a.state, ''),
       coalesce(to_char(coalesce(a.xact_start, a.state_change, a.backend_start) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '')
from pg_stat_activity a where a.pid = any(pg_blocking_pids($1))
union all
select 0, 'a prepared transaction: see pg_prepared_xacts', '', '', '' where 0 = any(pg_blocking_pids($1))
order by 5, 1 limit 5";

/// Whoever holds up the migrations of one connection. Prints in words, with the remedy.
pub(super) struct Blockers<'a> {
    database: &'a Database,
    migrating: Option<i32>,
    asking: Option<PgConnection>,
    /// An attempt has failed. Nobody is asked before.
    is_held_up: bool,
    found: Vec<Blocker>,
}

#[derive(sqlx::FromRow)]
struct Blocker(i32, String, String, String, String);

impl<'a> Blockers<'a> {
    /// Of the migrations on `connection`.
    pub(super) async fn of(
        connection: &mut PgConnection,
        link: Link,
        database: &'a Database,
    ) -> sqlx::Result<Self> {
        Ok(Self {
            database,
            migrating: match link {
                Link::Direct => Some(value(connection, "select pg_backend_pid()").await?),
                // Each migration may run on another backend.
                Link::Pooled => None,
            },
            asking: None,
            is_held_up: false,
            found: Vec::new(),
        })
    }

    /// Whether the next attempt is one that was held up before.
    pub(super) fn set_held_up(&mut self, is_held_up: bool) {
        self.is_held_up = is_held_up;
    }

    /// Waits for an attempt. Looks meanwhile who holds it up, where something did so before.
    pub(super) async fn watch<T>(&mut self, attempt: impl Future<Output = T>) -> T {
        if !self.is_held_up || self.migrating.is_none() {
            return attempt.await;
        }
        self.connect().await;
        tokio::select! {
            done = attempt => done,
            () = self.look() => unreachable!("it looks for as long as it is let"),
        }
    }

    async fn connect(&mut self) {
        if self.asking.is_none() {
            let options = self.database.linked("rowcast migrate", Link::Direct, PLAIN);
            let connected = timeout(PATIENCE, options.connect()).await;
            self.asking = connected.ok().and_then(Result::ok);
        }
    }

    async fn look(&mut self) {
        while let Some(asking) = &mut self.asking {
            let found = sqlx::query_as(BLOCKERS)
                .bind(self.migrating)
                .fetch_all(asking)
                .await;
            match found {
                Ok(found) if found.is_empty() => {}
                Ok(found) => self.found = found,
                Err(error) => {
                    tracing::debug!("who holds up the migration can't be told: {error}");
                    self.asking = None;
                }
            }
            sleep(PAUSE).await;
        }
        std::future::pending::<()>().await;
    }
}

impl fmt::Display for Blockers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found.is_empty() {
            return f.write_str("who it is can't be told");
        }
        for (index, Blocker(pid, application, role, state, since)) in self.found.iter().enumerate()
        {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}pid {pid} ({application:?}, role {role:?}")?;
            if !state.is_empty() {
                write!(f, ", {state}")?;
            }
            if !since.is_empty() {
                write!(f, ", since {since}")?;
            }
            f.write_str(")")?;
        }
        f.write_str("; it goes on once they end")?;
        match self.found[0].0 {
            0 => Ok(()),
            pid => write!(f, ", or after `select pg_terminate_backend({pid})`"),
        }
    }
}
