//! The servers that read this database, by their readers' connections: each has one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pools::Pool;
use super::retry::within;

const PATIENCE: Duration = Duration::from_secs(5);

/// The query, for who asks in a way of its own.
pub(super) const SERVERS: &str = "
select coalesce(host(client_addr), 'this machine') as address,
       extract(epoch from clock_timestamp() - coalesce(backend_start, clock_timestamp()))::float8 as since
from pg_stat_activity where datname = current_database() and application_name = 'rowcast reader' order by 2 desc";

/// A server.
#[derive(Clone, Debug, Deserialize, Serialize, sqlx::FromRow)]
pub(crate) struct ServerEntry {
    /// The address that it connects from, as the database sees it.
    pub address: String,
    /// For how many seconds its reader has been connected.
    #[serde(rename(serialize = "seconds"))]
    pub since: f64,
}

/// The servers, the oldest first.
///
/// # Errors
/// The database's own, or that there was no answer in time.
pub(crate) async fn servers(pool: &Pool) -> sqlx::Result<Vec<ServerEntry>> {
    within(pool, PATIENCE, async |connection| {
        sqlx::query_as(SERVERS).fetch_all(connection).await
    })
    .await
}
