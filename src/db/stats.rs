//! The figures that the metrics take from the database.
//!
//! All of them are cheap: the number of rows is the planner's estimate, never a count.

use std::time::Duration;

use super::pools::Pool;
use super::retry::within;

const PATIENCE: Duration = Duration::from_secs(5);

/// Figures of what is stored.
#[derive(sqlx::FromRow, Debug)]
pub(crate) struct Stats {
    /// Rows of the outbox, as the planner estimates them.
    pub rows: i64,
    /// Bytes on disk, indexes included.
    pub bytes: i64,
    /// Resume sessions, as the planner estimates them.
    pub session_rows: i64,
    /// Their bytes on disk, indexes included.
    pub session_bytes: i64,
    /// Bytes of the whole database; `None` where the role may not know.
    pub database_bytes: Option<i64>,
}

/// Asks for the figures.
///
/// # Errors
/// The database's own.
pub(crate) async fn stats(pool: &Pool) -> sqlx::Result<Stats> {
    let stats = sqlx::query_as(
        "select greatest(e.reltuples, 0)::bigint as rows, pg_total_relation_size(e.oid) as bytes,
                greatest(s.reltuples, 0)::bigint as session_rows, pg_total_relation_size(s.oid) as session_bytes,
                case when has_database_privilege(current_database(), 'connect') then pg_database_size(current_database()) end
                as database_bytes
         from pg_class e, pg_class s
         where e.oid = 'rowcast.events'::regclass and s.oid = 'rowcast.sessions'::regclass",
    );
    within(pool, PATIENCE, async |connection| {
        stats.fetch_one(connection).await
    })
    .await
}
