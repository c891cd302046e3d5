//! Which failures of the database pass by themselves, and a bound for every statement on a pool.
//!
//! Guarantees that a statement run by [`within`] never waits for ever, and that a connection which stopped answering leaves its
//! pool.
//! Refuses to retry: whoever asked decides, by [`is_transient`] and `backoff`.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool};
use tokio::time::timeout;

/// SQLSTATE insufficient_privilege (Postgres manual, appendix A): the role lacks a right.
pub(super) const SQLSTATE_NO_RIGHT: &str = "42501";
/// SQLSTATE read_only_sql_transaction: a standby says it, too.
pub(super) const SQLSTATE_READ_ONLY: &str = "25006";

/// One statement's work on a connection of the pool. A connection that does not answer in time is closed: back in the
/// pool it would keep its place until TCP gives it up.
pub(super) async fn within<T>(
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

/// Whether waiting may mend it: the server is away, starting, full, or gave up this once (SQLSTATE classes 08, 40, 53, 57).
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
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
