//! The database that a command works on: the one that `DATABASE_URL` names, else the embedded one.
//!
//! The embedded Postgres runs for as long as the returned handle lives, so the caller keeps it and stops it.

use anyhow::Context as _;

use crate::config::Config;
use crate::db::Database;
use crate::embedded::{self, Embedded};

/// The database to serve, and the embedded server under it where there is one.
///
/// # Errors
/// The embedded Postgres's.
pub(crate) async fn find_database(config: &Config) -> anyhow::Result<(Database, Option<Embedded>)> {
    if let Some(url) = &config.database {
        return Ok((Database::new(url.connect_options().clone()), None));
    }
    let embedded = Embedded::start(embedded::Options {
        data_dir: config.data_dir.clone(),
        bindir: config.pg_bindir.clone(),
        search_path: config.search_path.clone(),
    })
    .await?;
    let options = embedded
        .url()
        .parse()
        .context("the embedded Postgres's URL")?;
    Ok((Database::new(options), Some(embedded)))
}
