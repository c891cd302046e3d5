//! Which failures of the database pass by themselves, and a bound for every statement on a pool.
//!
//! Guarantees that a statement run by [`within`] never waits for ever, and that a connection which stopped answering leaves its
//! pool.
//! Refuses to retry: whoever asked decides, by [`is_transient`] and `backoff`.

use std::time::Duration;

use tokio::time::timeout;

use super::backend::Backend;
use super::link::scoped;
use super::pools::Pool;

/// SQLSTATE insufficient_privilege (Postgres manual, appendix A): the role lacks a right.
pub(super) const SQLSTATE_NO_RIGHT: &str = "42501";
/// SQLSTATE read_only_sql_transaction: a standby says it, too.
pub(super) const SQLSTATE_READ_ONLY: &str = "25006";

/// One statement's work on a connection of the pool; where its backend may be shared, in a transaction of its own. A connection
/// that does not answer in time is closed: back in the pool it would keep its place until TCP gives it up.
pub(super) async fn within<T>(
    pool: &Pool,
    patience: Duration,
    work: impl AsyncFnOnce(&mut Backend<'_>) -> sqlx::Result<T>,
) -> sqlx::Result<T> {
    let (mut connection, link) = pool.acquire().await?;
    let work = scoped(&mut connection, link, pool.settings(), work);
    match timeout(patience, work).await {
        Ok(done) => done,
        Err(_) => {
            drop(connection.detach());
            Err(sqlx::Error::PoolTimedOut)
        }
    }
}

/// Whether waiting may mend it: the server is away, starting, full, or gave up this once (SQLSTATE classes 08, 40, 53, 57), or is
/// read-only because another one is the primary now (25006).
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            matches!(code.get(..2), Some("08" | "40" | "53" | "57"))
                || matches!(&*code, "55006" | "25006")
        }),
        _ => false,
    }
}

/// Whether the database does not do this for us, now or ever: there is no right, no such function, or it raises by itself.
pub(super) fn is_refused_for_good(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some() && !is_transient(error)
}
