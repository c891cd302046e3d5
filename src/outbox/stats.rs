//! What the metrics and the self-probe ask of the database.

use sqlx::postgres::PgPool;

/// Figures of the outbox and of NOTIFY.
#[derive(sqlx::FromRow, Debug)]
pub struct Stats {
    /// Rows of the outbox, as the planner estimates them.
    pub rows: i64,
    /// Bytes on disk, indexes included.
    pub bytes: i64,
    /// How full the cluster's NOTIFY queue is, from 0 to 1.
    pub notify_queue: f64,
}

/// Asks for the figures.
///
/// # Errors
/// The database's own.
pub async fn stats(pool: &PgPool) -> sqlx::Result<Stats> {
    sqlx::query_as(
        "select greatest(reltuples, 0)::bigint as rows, pg_total_relation_size(oid) as bytes,
                pg_notification_queue_usage() as notify_queue
         from pg_class where oid = 'rowcast.events'::regclass",
    )
    .fetch_one(pool)
    .await
}

/// Sends a notification that our own listener must see come round.
///
/// # Errors
/// The database's own.
pub async fn probe(pool: &PgPool, payload: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_notify('rowcast_probe', $1)")
        .bind(payload)
        .execute(pool)
        .await
        .map(|_| ())
}
