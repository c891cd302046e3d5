//! The two sets of migrations, and which of one a database lacks.
//!
//! The chat tables have a record of their own: a database without them is complete.
//!
//! Two things are said of a migration by itself, for upgrades. Its name, which the record has: a file `<version>_since_<N>_<name>.sql` leaves
//! a database that a server serves which knows migration N, though it does not know this one. And its head: a line `-- Writers wait: <why>`
//! says that `serve` must not apply it to a database that is in use.

use std::fmt;

use anyhow::anyhow;
use sqlx::FromRow as _;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnection;

use super::value;

/// SQLSTATEs of a record that is not there, Postgres manual, appendix A: undefined table, and no such schema.
const NO_RECORD: [&str; 2] = ["42P01", "3F000"];

const CORE_APPLIED: &str = "
select version, pg_catalog.encode(checksum, 'hex'), description from rowcast.migrations where success order by version";
const CHAT_APPLIED: &str = "
select version, pg_catalog.encode(checksum, 'hex'), description from rowcast.chat_migrations where success order by version";
const WRITERS_WAIT: &str = "-- Writers wait: ";
/// Whether the record is of tables that are gone: their schema was dropped, and the record has stayed.
const CHAT_GONE: &str = "
select pg_catalog.to_regclass('public.messages') is null and pg_catalog.to_regclass('public.message_statuses') is null";
/// The same, where one of them is missed too.
const CHAT_NOT_WHOLE: &str = "
select pg_catalog.to_regclass('public.messages') is null or pg_catalog.to_regclass('public.message_statuses') is null";

static CORE: Migrator = sqlx::migrate!();
static CHAT: Migrator = sqlx::migrate!("migrations/chat");

/// Migrations that are applied in their order.
pub(super) struct Set {
    migrator: &'static Migrator,
    /// What they make, in words.
    pub(super) what: &'static str,
    /// The record of those that were applied.
    pub(super) record: &'static str,
    applied: &'static str,
    gone: Option<&'static str>,
    /// The command that applies them.
    command: &'static str,
}

/// Everything that the server needs.
pub(super) fn core() -> Set {
    Set {
        migrator: &CORE,
        what: "the schema rowcast",
        record: "rowcast.migrations",
        applied: CORE_APPLIED,
        gone: None,
        command: "rowcast migrate",
    }
}

/// The optional chat tables; `whole` asks for all of them.
pub(super) fn chat(whole: bool) -> Set {
    Set {
        migrator: &CHAT,
        what: "the chat tables",
        record: "rowcast.chat_migrations",
        applied: CHAT_APPLIED,
        gone: Some(if whole { CHAT_NOT_WHOLE } else { CHAT_GONE }),
        command: "rowcast migrate --chat",
    }
}

/// A migration that was applied, as the record has it: version, checksum in hexadecimal, and name.
pub(in crate::db) type Applied = (i64, String, String);

/// A migration that a database lacks. Prints as its file is called, without the ending.
pub(super) struct Missing {
    pub(super) migration: &'static Migration,
    /// The record says that all were applied, but what they made is gone: they begin anew.
    pub(super) begins_anew: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.migration.description.replace(' ', "_");
        write!(f, "{:04}_{name}", self.migration.version)
    }
}

impl Set {
    /// What the database lacks, in order. Where nothing is missing no right is needed but to read the record, so that a server
    /// may run as a role that can create nothing.
    pub(super) async fn missing(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<Missing>, MigrateError> {
        let applied = self.applied(connection).await?;
        later(self.migrator, &applied)?;
        let begins_anew = !applied.is_empty() && self.is_gone(connection).await?;
        let is_applied = |ours: &Migration| applied.iter().any(|(v, ..)| *v == ours.version);
        let missing = self
            .migrator
            .iter()
            .filter(|ours| begins_anew || !is_applied(ours))
            .map(|migration| Missing {
                migration,
                begins_anew,
            });
        Ok(missing.collect())
    }

    /// How many migrations a later version has applied that leave the database as this one serves it.
    pub(super) async fn later(&self, connection: &mut PgConnection) -> Result<usize, MigrateError> {
        later(self.migrator, &self.applied(connection).await?)
    }

    /// Whether nothing of it was applied, if this is what it lacks.
    pub(super) fn is_new(&self, missing: &[Missing]) -> bool {
        missing.len() == self.migrator.iter().count()
    }

    async fn applied(&self, connection: &mut PgConnection) -> Result<Vec<Applied>, MigrateError> {
        match sqlx::raw_sql(self.applied).fetch_all(connection).await {
            Ok(applied) => {
                let read = |row| Applied::from_row(row);
                Ok(applied.iter().map(read).collect::<sqlx::Result<_>>()?)
            }
            Err(sqlx::Error::Database(e))
                if e.code().is_some_and(|code| NO_RECORD.contains(&&*code)) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn is_gone(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        match self.gone {
            Some(gone) => value(connection, gone).await,
            None => Ok(false),
        }
    }

    /// That these are missing, where they may not be applied.
    pub(super) fn are_missing(&self, missing: &[Missing]) -> anyhow::Error {
        let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
        anyhow!(
            "{}: not up to date, and ROWCAST_MIGRATE=off keeps the server from applying what is missing: {}; run `{}`, as the \
             role that owns the schema, before the server",
            self.what,
            names.join(", "),
            self.command
        )
    }

    /// That `serve` does not apply this one, because writers would wait.
    pub(super) fn makes_wait(&self, missing: &Missing, why: &str) -> anyhow::Error {
        anyhow!(
            "{}: migration {missing} makes writers wait ({why}), so a server does not apply it by itself: run `{}`, as the role that owns the \
             schema, when they may; until then run the version of before, which serves on",
            self.what,
            self.command
        )
    }
}

impl Missing {
    /// Why writers wait while it is applied, if they do.
    pub(super) fn writers_wait(&self) -> Option<&'static str> {
        let head = self.migration.sql.as_str().lines();
        let mut head = head.take_while(|line| line.starts_with("--"));
        head.find_map(|line| line.strip_prefix(WRITERS_WAIT))
    }
}

/// How many of the applied migrations are a later version's. One that leaves a database which these migrations' server does not
/// serve is an error, and so is one with another text.
fn later(ours: &Migrator, applied: &[Applied]) -> Result<usize, MigrateError> {
    let newest = ours.iter().map(|ours| ours.version).max().unwrap_or(0);
    let mut count = 0;
    for (version, checksum, name) in applied {
        match ours.iter().find(|ours| ours.version == *version) {
            Some(ours) if hex(&ours.checksum) != *checksum => {
                return Err(MigrateError::VersionMismatch(*version));
            }
            Some(_) => {}
            None if *version > newest && since(name).is_some_and(|since| since <= newest) => {
                count += 1;
            }
            None => return Err(MigrateError::VersionMissing(*version)),
        }
    }
    Ok(count)
}

/// The migration from which on a server serves a database with the one of this name.
fn since(name: &str) -> Option<i64> {
    let (since, _) = name.strip_prefix("since ")?.split_once(' ')?;
    since.parse().ok()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What a record of applied migrations lacks, or has too much.
pub(in crate::db) enum Pending {
    /// They are the ones that are compiled in.
    None,
    /// So many are a later version's, and this one serves on.
    Later(usize),
    /// So many are not applied yet.
    Missing(usize),
    /// This one is not compiled in, or with another text.
    Unknown(i64),
}

/// Compares the migrations that were applied with those that are compiled in.
pub(in crate::db) fn pending(applied: &[Applied]) -> Pending {
    let later = match later(&CORE, applied) {
        Ok(later) => later,
        Err(MigrateError::VersionMismatch(version) | MigrateError::VersionMissing(version)) => {
            return Pending::Unknown(version);
        }
        Err(_) => 0,
    };
    match (CORE.iter().count() + later - applied.len(), later) {
        (0, 0) => Pending::None,
        (0, later) => Pending::Later(later),
        (missing, _) => Pending::Missing(missing),
    }
}

#[cfg(test)]
mod tests;
