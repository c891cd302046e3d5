//! Waits for a database that may be away, and brings its schema up to date.
//!
//! Guarantees that an unreachable database is waited for and each attempt is logged, and that one which refuses us (a wrong
//! password, no such database) is an error at once.

use std::path::Path;

use anyhow::bail;
use tokio::time::sleep;

use super::{Database, Pools, is_transient, migrate};
use crate::backoff::Backoff;

/// Waits for the database and brings its schema up to date. `folder` is that of the embedded Postgres, if the database is in
/// one: it is named where the user must remove it.
///
/// # Errors
/// What waiting can't mend.
pub(crate) async fn prepare(
    database: &Database,
    pools: &Pools,
    folder: Option<&Path>,
    chat: bool,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    loop {
        match database.try_connect().await {
            Ok(()) => break,
            Err(error) if is_transient(&error) => {
                let pause = backoff.next();
                tracing::warn!(
                    database = database.describe(),
                    retry_in_ms = pause.as_millis() as u64,
                    "the database can't be reached: {error}"
                );
                sleep(pause).await;
            }
            Err(error) => {
                // The text of sqlx's error repeats itself, and names lines of Postgres's source.
                let said = error
                    .as_database_error()
                    .map_or_else(|| error.to_string(), |e| e.message().to_owned());
                bail!("the database {} refuses us: {said}", database.describe());
            }
        }
    }
    migrate(&pools.main, chat, folder).await
}
