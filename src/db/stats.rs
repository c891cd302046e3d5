//! The figures that the metrics take from the database.
//!
//! All of them are cheap: the number of rows is the planner's estimate, never a count.

use std::time::Duration;

use super::pools::Pool;
use super::retry::within;

const PATIENCE: Duration = Duration::from_secs(5);

/// Figures of the outbox.
#[derive(sqlx::FromRow, Debug)]
pub(crate) struct Stats {
    /// Rows of the outbox, as the planner estimates them.
    pub rows: i64,
    /// Bytes on disk, indexes included.
    pub bytes: i64,
}

/// Asks for the figures.
///
/// # Errors
/// The database's own.
pub(crate) async fn stats(pool: &Pool) -> sqlx::Result<Stats> {
    let stats = sqlx::query_as(
        "select greatest(reltuples, 0)::bigint as rows, pg_total_relation_size(oid) as bytes
         from pg_class where oid = 'rowcast.events'::regclass",
    );
    within(pool, PATIENCE, async |connection| {
        stats.fetch_one(connection).await
    })
    .await
}
