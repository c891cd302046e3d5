//! Applies the migrations that are compiled in.
//!
//! They are the same files that `sqlx migrate run` applies, and they are recorded in tables of our own schema, under the lock
//! that sqlx takes too. Each is applied in a transaction of its own (`step`).
//! Guarantees that writers never wait behind a migration that waits: its locks are asked for with a short timeout, and it is
//! tried again. What holds it up is said (`blockers`).
//! Refuses a database in which a migration has another text than here, which is from before the first release, and one that a
//! later version has migrated, unless its migrations say that this one may serve on (`sets`).

mod blockers;
mod explain;
mod sets;
mod step;

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{Decode, Postgres, Row as _, SqlSafeStr, Type};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::link::Link;
use super::numbers::pin_names;
use super::{Database, is_transient};
use crate::backoff::Backoff;
use crate::status::StartStatus;
use blockers::Blockers;
use explain::explain;
use sets::{Missing, Set, chat, core};
pub(super) use sets::{Pending, pending};
use step::{database_error, step};

/// A migration that waits is told of after this time, and again after the next one.
const TELL_FIRST: Duration = Duration::from_secs(1);
const TELL_AGAIN: Duration = Duration::from_secs(30);
/// Between two attempts to get a lock, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(2);

/// A dump that is restored without its owners has the confined functions, and they are not the roles' whose they should be. What is
/// in the way is for the doctor to say.
const CONFINE: &str = concat!(
    "begin; ",
    pin_names!(),
    "; select rowcast.confine() from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'rowcast' and p.proname = 'confined_row' and pg_get_userbyid(p.proowner) <> 'rowcast_capture'
       and pg_has_role(n.nspowner, 'usage');
     select rowcast.confine_policy() from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'rowcast' and p.proname = 'ask_may_join' and pg_get_userbyid(p.proowner) <> 'rowcast_policy'
       and pg_has_role(n.nspowner, 'usage'); commit"
);

/// What is done where the chat tables are not all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChatTables {
    /// Nothing: nobody asked for them.
    NotWanted,
    /// They are made if none is there. An owner who dropped one of them meant that.
    MadeIfNone,
    /// They are made, and it is an error that they can't be.
    Wanted,
}

/// What is wanted of the schema.
pub(crate) struct Schema<'a> {
    /// Whether the chat tables are made too.
    pub chat: ChatTables,
    /// What is missing is applied; else that it is missing is an error.
    pub apply: bool,
    /// Also what makes writers wait, on a database that is in use.
    pub may_block_writers: bool,
    /// The folder of the embedded Postgres, where the database is in one.
    pub folder: Option<&'a Path>,
}

/// Why the schema is not up to date.
pub(super) enum NotMigrated {
    /// The database went away: a new connection may mend it.
    Away(String),
    /// Waiting can't mend it.
    Refused(anyhow::Error),
}

/// One value, by the simple protocol: a statement without a name is left behind on no backend, whoever gets it next.
async fn value<T>(connection: &mut PgConnection, sql: impl SqlSafeStr) -> sqlx::Result<T>
where
    T: Type<Postgres> + for<'r> Decode<'r, Postgres>,
{
    let row = sqlx::raw_sql(sql).fetch_one(connection).await?;
    row.try_get(0)
}

/// Brings the schema `rowcast` up to date, and the chat tables if they are asked for. Adds the names of the migrations that it
/// applies to `applied`, and tells `waiting` what it waits for.
pub(super) async fn migrate(
    connection: &mut PgConnection,
    link: Link,
    database: &Database,
    schema: &Schema<'_>,
    waiting: &watch::Sender<StartStatus>,
    applied: &mut Vec<String>,
) -> Result<(), NotMigrated> {
    let mut sets = vec![core()];
    if schema.chat != ChatTables::NotWanted {
        sets.push(chat(schema.chat == ChatTables::Wanted));
    }
    for set in &sets {
        let failed = |error| not_migrated(&error, database, schema, set);
        let mut patience = Patience::new(connection, link, database, waiting)
            .await
            .map_err(failed)?;
        let mut is_new = false;
        loop {
            let missing = set.missing(connection).await.map_err(failed)?;
            let Some(next) = missing.first() else {
                break;
            };
            is_new |= set.is_new(&missing);
            refuse(set, schema, &missing, is_new).map_err(NotMigrated::Refused)?;
            waiting.send_replace(StartStatus::working(
                "migrations",
                format!("migration {next} is being applied"),
            ));
            let done = patience.blockers.watch(step(connection, set, next)).await;
            match done {
                Ok(()) => {
                    tracing::info!(migration = next.to_string(), "applied a migration");
                    applied.push(next.to_string());
                    patience.reset();
                }
                Err(error) if step::is_held_up(&error) => patience.wait(&next.to_string()).await,
                Err(error) => return Err(failed(error)),
            }
        }
        let later = set.later(connection).await.map_err(failed)?;
        if later > 0 {
            tracing::info!(
                migrations = later,
                "a later version has migrated {}: this one serves on",
                set.what
            );
        }
    }
    if schema.apply
        && let Err(error) = sqlx::raw_sql(CONFINE).execute(&mut *connection).await
    {
        tracing::debug!("the confined functions stay as they are: {error}");
        // It may be in a transaction that failed.
        let _ = sqlx::raw_sql("rollback").execute(connection).await;
    }
    Ok(())
}

/// Whether the next of these may not be applied here and now. A database is `new` while nobody writes to it yet.
fn refuse(
    set: &Set,
    schema: &Schema<'_>,
    missing: &[Missing],
    is_new: bool,
) -> Result<(), anyhow::Error> {
    if !schema.apply {
        return Err(set.are_missing(missing));
    }
    let next = missing.first();
    match next.and_then(|next| Some((next, next.writers_wait()?))) {
        Some((next, why)) if !schema.may_block_writers && !is_new => Err(set.makes_wait(next, why)),
        _ => Ok(()),
    }
}

fn not_migrated(
    error: &MigrateError,
    database: &Database,
    schema: &Schema<'_>,
    set: &Set,
) -> NotMigrated {
    match database_error(error) {
        Some(e) if is_transient(e) => {
            let said = e
                .as_database_error()
                .map_or_else(|| e.to_string(), |e| e.message().to_owned());
            NotMigrated::Away(format!("the migrations are tried again: {said}"))
        }
        _ => NotMigrated::Refused(explain(error, &database.options, schema.folder, set.what)),
    }
}

/// The pauses between attempts, and what is said meanwhile.
struct Patience<'a> {
    blockers: Blockers<'a>,
    waiting: &'a watch::Sender<StartStatus>,
    backoff: Backoff,
    tell_at: Instant,
    told: String,
}

impl<'a> Patience<'a> {
    async fn new(
        connection: &mut PgConnection,
        link: Link,
        database: &'a Database,
        waiting: &'a watch::Sender<StartStatus>,
    ) -> Result<Self, MigrateError> {
        Ok(Self {
            blockers: Blockers::of(connection, link, database).await?,
            waiting,
            backoff: Backoff::new(RETRY_FIRST, RETRY_MOST),
            tell_at: Instant::now() + TELL_FIRST,
            told: String::new(),
        })
    }

    fn reset(&mut self) {
        self.backoff.reset();
        self.blockers.set_held_up(false);
        self.tell_at = Instant::now() + TELL_FIRST;
        self.told.clear();
    }

    /// Says what an attempt waited for, now and then, and waits.
    async fn wait(&mut self, migration: &str) {
        self.blockers.set_held_up(true);
        let cause = format!(
            "migration {migration} waits for a lock that others hold: {}",
            self.blockers
        );
        self.waiting
            .send_replace(StartStatus::failing("migrations", &cause));
        let now = Instant::now();
        let is_new = !self.told.is_empty() && self.told != cause;
        if now >= self.tell_at || is_new {
            tracing::warn!("{cause}");
            self.tell_at = now + TELL_AGAIN;
            self.told = cause;
        }
        sleep(self.backoff.next()).await;
    }
}
