//! The attached tables, and what is wrong with them.
//!
//! Reads the view `rowcast.sources`, whose column `problems` says in words what keeps a table from being captured, or its history
//! from being read by the role that asks. About 3 ms with 50 attached tables; it locks none of them.
//! Has partitions followed, too, which `rowcast.follow_tables` does: at most a few at a time, and none that it would have to wait for.

use std::time::Duration;

use super::pools::Pool;
use super::retry::within;

const PATIENCE: Duration = Duration::from_secs(5);

/// A policy's text can't be had while somebody alters its table; that is waited for briefly.
const SOURCES: &str = "
set local transaction read only;
set local jit = off;
set local lock_timeout = '1s';
set local statement_timeout = '5s';
select source, room, problems from rowcast.sources order by 1";

/// Writes to partitions that came since their table was attached are captured from now on.
const FOLLOW: &str = "select rowcast.follow_tables()";

/// An attached table.
#[derive(sqlx::FromRow, Debug)]
pub(crate) struct Source {
    /// The table's qualified name.
    pub source: String,
    /// The room as a template over its columns.
    pub room: String,
    /// What is wrong with it, each with what mends it; empty when nothing is.
    pub problems: Vec<String>,
}

/// Every attached table, in the order of their names.
///
/// # Errors
/// The database's own, or that there was no answer in time.
pub(crate) async fn sources(pool: &Pool) -> sqlx::Result<Vec<Source>> {
    within(pool, PATIENCE, async |connection| {
        connection.read_at_once(SOURCES).await
    })
    .await
}

/// Captures the partitions that came since their table was attached, and lets those go that are none any more. Says what was done.
///
/// # Errors
/// The database's own, or that there was no answer in time.
pub(crate) async fn follow_tables(pool: &Pool) -> sqlx::Result<Vec<String>> {
    within(pool, PATIENCE, async |connection| {
        sqlx::query_scalar(FOLLOW).fetch_all(connection).await
    })
    .await
}
