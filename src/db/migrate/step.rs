//! One migration, in one transaction.
//!
//! Does what sqlx does by the simple protocol, because a statement's name, too, would stay on a connection. What a managed service
//! refuses to tell is left out; the first server that is told fills it in.
//! Takes sqlx's own lock of migrations, for this transaction only: nothing of it stays on a connection that a pooler gives to
//! others. Its waits for locks are short, because writers queue behind whoever waits for a lock on a table of theirs.

use std::time::Instant;

use sqlx::migrate::{Migrate as _, MigrateError, Migration};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::sets::{Missing, Set, hex};
use super::value;
use crate::db::numbers::pin_names;
use crate::db::retry::is_refused_for_good;

/// SQLSTATE, Postgres manual, appendix A: a lock was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What a role may not be allowed to call.
const REFUSABLE: [&str; 2] = [
    "(select system_identifier from pg_control_system())",
    "(select timeline_id from pg_control_checkpoint())",
];

/// A pooler, a role or a database may have other settings; these are the transaction's own.
const BEGIN: &str = concat!(
    pin_names!(),
    ";
set local transaction isolation level read committed read write;
set local lock_timeout = '50ms';
set local standard_conforming_strings = on;
set local statement_timeout = 0"
);
/// Creating what is there already would need the right to create.
const SCHEMA_EXISTS: &str = "select to_regnamespace('rowcast') is not null";
/// What the chat tables had in our schema, which would be in the way of their first migration.
const FORGET_CHAT: &str = r"
do $$
declare
  f regprocedure;
begin
  for f in select oid from pg_proc where pronamespace = 'rowcast'::regnamespace and proname like 'chat\_%' loop
    execute format('drop function %s cascade', f);
  end loop;
  delete from rowcast.chat_migrations;
end $$";

/// Applies a migration, unless somebody else has done so meanwhile.
pub(super) async fn step(
    connection: &mut PgConnection,
    set: &Set,
    missing: &Missing,
) -> Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    let to = &mut *transaction;
    to.execute(BEGIN).await?;
    let database: String = value(to, "select current_database()").await?;
    let lock = format!("select pg_advisory_xact_lock({})", lock_id(&database));
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *to).await?;
    let exists: bool = value(to, SCHEMA_EXISTS).await?;
    if !exists {
        to.create_schema_if_not_exists("rowcast").await?;
    }
    let exists = format!("select to_regclass('{}') is not null", set.record);
    let exists: bool = value(to, AssertSqlSafe(exists)).await?;
    if !exists {
        to.ensure_migrations_table(set.record).await?;
    }
    let still = set.missing(to).await?;
    let version = missing.migration.version;
    if let Some(still) = still.iter().find(|it| it.migration.version == version) {
        if still.begins_anew {
            to.execute(FORGET_CHAT).await?;
        }
        let failed = |error| MigrateError::ExecuteMigration(error, version);
        apply(to, set.record, still.migration)
            .await
            .map_err(failed)?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Runs a migration, and records it.
async fn apply(to: &mut PgConnection, record: &str, migration: &Migration) -> sqlx::Result<()> {
    let begun = Instant::now();
    let mut savepoint = to.begin().await?;
    let run = sqlx::raw_sql(migration.sql.clone());
    match (run.execute(&mut *savepoint).await, without(migration)) {
        (Ok(_), _) => savepoint.commit().await?,
        (Err(refused), Some(without)) if is_final_refusal(&refused) => {
            savepoint.rollback().await?;
            tracing::debug!("a migration is applied without what Postgres refuses: {refused}");
            let run = sqlx::raw_sql(AssertSqlSafe(without));
            run.execute(&mut *to).await?;
        }
        (Err(error), _) => return Err(error),
    }
    let record = format!(
        "insert into {record} (version, description, success, checksum, execution_time)
         values ({}, '{}', true, decode('{}', 'hex'), {})",
        migration.version,
        migration.description.replace('\'', "''"),
        hex(&migration.checksum),
        begun.elapsed().as_nanos()
    );
    sqlx::raw_sql(AssertSqlSafe(record)).execute(to).await?;
    Ok(())
}

/// The migration without the functions that may be refused, if it calls them.
fn without(migration: &Migration) -> Option<String> {
    let sql = migration.sql.as_str();
    let calls = REFUSABLE.iter().any(|function| sql.contains(function));
    calls.then(|| {
        REFUSABLE.iter().fold(sql.to_owned(), |sql, function| {
            sql.replace(function, "null::int")
        })
    })
}

/// Whether Postgres does not do this for us, now or ever.
fn is_final_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|said| said.code());
    code.as_deref() != Some(LOCK_NOT_AVAILABLE) && is_refused_for_good(error)
}

/// Whether an attempt ended because a lock was not to be had in time.
pub(super) fn is_held_up(error: &MigrateError) -> bool {
    let code = database_error(error).and_then(|error| error.as_database_error()?.code());
    code.as_deref() == Some(LOCK_NOT_AVAILABLE)
}

/// The database's own error, where it is one.
pub(super) fn database_error(error: &MigrateError) -> Option<&sqlx::Error> {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Some(error),
        _ => None,
    }
}

/// The key of sqlx's advisory lock, by which `sqlx migrate run` and servers that start at once wait for each other. sqlx keeps
/// the function to itself; a test holds ours against the lock that its command takes.
fn lock_id(database: &str) -> i64 {
    0x3d32_ad9e * i64::from(crc32(database.as_bytes()))
}

/// CRC-32 as in ISO 3309.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_the_one_that_sqlx_takes() {
        assert_eq!(
            crc32(b"123456789"),
            0xcbf4_3926,
            "the check value of CRC-32"
        );
        assert_eq!(lock_id("123456789"), 0x3d32_ad9e * 0xcbf4_3926);
    }
}
