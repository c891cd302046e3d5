//! The figures that the metrics take from the database.
//!
//! All of them are cheap: the number of rows is the planner's estimate, never a count.

use sqlx::postgres::PgPool;

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
pub(crate) async fn stats(pool: &PgPool) -> sqlx::Result<Stats> {
    sqlx::query_as(
        "select greatest(reltuples, 0)::bigint as rows, pg_total_relation_size(oid) as bytes
         from pg_class where oid = 'rowcast.events'::regclass",
    )
    .fetch_one(pool)
    .await
}
