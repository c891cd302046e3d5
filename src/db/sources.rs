//! The attached tables, for the log's lines at the start.
//!
//! Reads the view `rowcast.sources`, which also says what is wrong with a table.

use std::time::Duration;

use super::pools::Pool;
use super::retry::within;

const PATIENCE: Duration = Duration::from_secs(10);

/// An attached table.
#[derive(sqlx::FromRow, Debug)]
pub(crate) struct Source {
    /// The table's qualified name.
    pub source: String,
    /// The room as a template over its columns.
    pub room: String,
    /// What is wrong with it, in words; empty when nothing is.
    pub problems: Vec<String>,
}

/// Every attached table.
///
/// # Errors
/// The database's own.
pub(crate) async fn sources(pool: &Pool) -> sqlx::Result<Vec<Source>> {
    within(pool, PATIENCE, async |connection| {
        sqlx::query_as(
            "select source::text as source, room, problems from rowcast.sources order by 1",
        )
        .fetch_all(connection)
        .await
    })
    .await
}
