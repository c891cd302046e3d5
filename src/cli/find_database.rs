//! The database that a command works on: the one that `DATABASE_URL` names, else the embedded one.
//!
//! The embedded Postgres runs for as long as the returned handle lives, so the caller keeps it and stops it.

use anyhow::{Context as _, bail};

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

/// Does a command's work on the database that it reaches, and stops the embedded server if that was started for it.
///
/// # Errors
/// The work's own, or that there is no database.
pub(super) async fn on_database<T>(
    config: &Config,
    work: impl AsyncFnOnce(Database) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (database, embedded) = reach_database(config).await?;
    let done = work(database).await;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    done
}

/// The database that a tool looks at: as [`find_database`], but an embedded Postgres that a server runs is used where it is, and
/// none is made.
///
/// # Errors
/// There is no embedded database yet, or it can't be started.
pub(super) async fn reach_database(
    config: &Config,
) -> anyhow::Result<(Database, Option<Embedded>)> {
    if config.database.is_some() {
        return find_database(config).await;
    }
    match embedded::found(&config.data_dir)? {
        embedded::Found::Running(url) => {
            let options = url.parse().context("the embedded Postgres's URL")?;
            Ok((Database::new(options), None))
        }
        embedded::Found::Stopped => find_database(config).await,
        embedded::Found::Nowhere => bail!(
            "there is no DATABASE_URL, and no embedded database in {} yet: set the one, or let `rowcast serve` make the other",
            config.data_dir.display()
        ),
    }
}
