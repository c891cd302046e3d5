//! The database under the server: found or started, waited for, brought up to date.

use anyhow::{Context as _, bail};
use sqlx::postgres::PgPool;

use crate::backoff::Backoff;
use crate::config::Config;
use crate::embedded::{self, Embedded};
use crate::outbox::{self, Database};

/// The database to serve, and the embedded server under it where there is one.
///
/// # Errors
/// The embedded Postgres's.
pub async fn database(config: &Config) -> anyhow::Result<(Database, Option<Embedded>)> {
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

/// Waits for the database and brings its schema up to date. An unreachable database is waited for, and reported.
///
/// # Errors
/// What waiting can't mend.
pub async fn prepare(
    database: &Database,
    pool: &PgPool,
    embedded: Option<&Embedded>,
    chat: bool,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    loop {
        match database.reach().await {
            Ok(()) => break,
            Err(error) if outbox::is_transient(&error) => {
                let pause = backoff.next();
                tracing::warn!(
                    database = database.describe(),
                    retry_in_ms = pause.as_millis() as u64,
                    "the database can't be reached: {error}"
                );
                tokio::time::sleep(pause).await;
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
    outbox::migrate(pool, chat, embedded.map(Embedded::folder)).await
}
