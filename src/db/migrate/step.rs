//! One migration, in one transaction.
//!
//! Takes sqlx's own lock of migrations, for this transaction only: nothing of it stays on a connection that a pooler gives to
//! others. Its waits for locks are short, because writers queue behind whoever waits for a lock on a table of theirs.

use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use super::sets::{Missing, Set};

/// SQLSTATE, Postgres manual, appendix A: a lock was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// A pooler, a role or a database may have other settings; these are the transaction's own.
const BEGIN: &str = "
set transaction isolation level read committed;
set local lock_timeout = '50ms';
set local statement_timeout = 0";
const LOCK: &str = "select pg_advisory_xact_lock($1)";
/// Creating what is there already would need the right to create.
const SCHEMA_EXISTS: &str = "select to_regnamespace('rowcast') is not null";
const RECORD_EXISTS: &str = "select to_regclass($1) is not null";
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
    let database: String = sqlx::query_scalar("select current_database()")
        .fetch_one(&mut *to)
        .await?;
    let key = lock_id(&database);
    sqlx::query(LOCK).bind(key).execute(&mut *to).await?;
    let exists: bool = sqlx::query_scalar(SCHEMA_EXISTS)
        .fetch_one(&mut *to)
        .await?;
    if !exists {
        to.create_schema_if_not_exists("rowcast").await?;
    }
    let exists: bool = sqlx::query_scalar(RECORD_EXISTS)
        .bind(set.record)
        .fetch_one(&mut *to)
        .await?;
    if !exists {
        to.ensure_migrations_table(set.record).await?;
    }
    let still = set.missing(to).await?;
    let version = missing.migration.version;
    if let Some(still) = still.iter().find(|it| it.migration.version == version) {
        if still.begins_anew {
            to.execute(FORGET_CHAT).await?;
        }
        to.apply(set.record, still.migration).await?;
    }
    transaction.commit().await?;
    Ok(())
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
