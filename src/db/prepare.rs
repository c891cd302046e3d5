//! Waits for a database that may be away, and brings its schema up to date.
//!
//! Works on one connection outside any pool, because a pool hides why it has no connection.
//! Guarantees that an unreachable database is waited for, with a line in the log whenever the cause is another one and each
//! minute, and that one which refuses us (a wrong password, no such database) is an error at once. What is waited for is always said, for `/readyz`.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::anyhow;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::link::{Link, STANDBY};
use super::migrate::{NotMigrated, Schema, migrate};
use super::{CONNECT_PATIENCE, Database, PLAIN, is_transient};
use crate::backoff::Backoff;
use crate::status::StartStatus;

/// Between two lines of the log that say the same.
const LOG_PAUSE: Duration = Duration::from_secs(60);

const IS_READ_ONLY: &str = "select pg_catalog.current_setting('default_transaction_read_only'::pg_catalog.text)::pg_catalog.bool";

/// Waits for the database and brings its schema up to date. Returns the database as it is to be connected to, and the names of
/// the migrations that were applied. `waiting` is told what is waited for.
///
/// # Errors
/// What waiting can't mend.
pub(crate) async fn prepare(
    mut database: Database,
    schema: &Schema<'_>,
    waiting: &watch::Sender<StartStatus>,
) -> anyhow::Result<(Database, Vec<String>)> {
    let mut backoff = Backoff::default();
    let mut applied = Vec::new();
    let mut logged: Option<(String, Instant)> = None;
    loop {
        let cause = match attempt(&mut database, schema, waiting, &mut applied).await {
            Ok(()) => return Ok((database, applied)),
            Err(NotMigrated::Refused(error)) => return Err(error),
            Err(NotMigrated::Away(cause)) => cause,
        };
        waiting.send_replace(StartStatus::failing("database", &cause));
        let is_told = |(told, at): &(String, Instant)| *told == cause && at.elapsed() < LOG_PAUSE;
        if !logged.as_ref().is_some_and(is_told) {
            let database = database.describe();
            tracing::warn!(database, "{cause}; it is tried again and again");
            logged = Some((cause, Instant::now()));
        }
        sleep(backoff.next()).await;
    }
}

/// Connects, and does all of it.
async fn attempt(
    database: &mut Database,
    schema: &Schema<'_>,
    waiting: &watch::Sender<StartStatus>,
    applied: &mut Vec<String>,
) -> Result<(), NotMigrated> {
    let (mut connection, mut link) = connect(database).await?;
    if link == Link::Direct {
        let asked = sqlx::raw_sql(IS_READ_ONLY).fetch_one(&mut connection).await;
        let read_only = asked.and_then(|row| row.try_get(0));
        if read_only.map_err(|error| refusal(database, &error))? && database.make_writable() {
            (connection, link) = connect(database).await?;
        }
    }
    migrate(&mut connection, link, database, schema, waiting, applied).await?;
    // What was to be done is done, and the server closes its end in any case.
    let _ = timeout(CONNECT_PATIENCE, connection.close()).await;
    Ok(())
}

async fn connect(database: &Database) -> Result<(PgConnection, Link), NotMigrated> {
    match timeout(CONNECT_PATIENCE, database.open("rowcast migrate", PLAIN)).await {
        Ok(Err(error)) if !matches!(error, sqlx::Error::PoolTimedOut) => {
            Err(refusal(database, &error))
        }
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(_)) | Err(_) => Err(NotMigrated::Away(format!(
            "the database can't be reached: no answer within {} s",
            CONNECT_PATIENCE.as_secs()
        ))),
    }
}

/// Why there is no connection: something that passes by itself, or not.
fn refusal(database: &Database, error: &sqlx::Error) -> NotMigrated {
    match error {
        // Of a name that can't be resolved there is no other sign than this text, which the standard library gives.
        sqlx::Error::Io(e) if e.to_string().contains("failed to lookup address") => {
            NotMigrated::Away(format!(
                "the database can't be reached: the host name in DATABASE_URL can't be resolved: {e}"
            ))
        }
        sqlx::Error::Io(e) if e.kind() == ErrorKind::NotFound && !database.is_socket() => {
            NotMigrated::Refused(anyhow!(
                "the database {} can't be connected to: a file that is named for TLS (sslrootcert, sslcert or sslkey) is not there",
                database.describe()
            ))
        }
        // It says by itself what is wrong.
        sqlx::Error::Protocol(said) if said == STANDBY => NotMigrated::Away(said.clone()),
        _ if is_transient(error) => {
            NotMigrated::Away(format!("the database can't be reached: {}", said(error)))
        }
        _ => NotMigrated::Refused(anyhow!(
            "the database {} refuses us: {}",
            database.describe(),
            said(error)
        )),
    }
}

/// What the database said. The text of sqlx's error repeats itself, and names lines of Postgres's source.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(e) => e.message().to_owned(),
        sqlx::Error::Io(e) => e.to_string(),
        _ => error.to_string(),
    }
}
