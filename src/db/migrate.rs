//! Applies the migrations that are compiled in.
//!
//! They are the same files that `sqlx migrate run` applies, and they are recorded in tables of our own schema. The advisory lock
//! of sqlx's migrator serialises two servers that start at once.
//! Refuses a database in which a migration has another text than here: that is from before the first release.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqlSafeStr as _};

use super::link::{Link, begin};
use super::pools::Pool;
use super::retry::within;

/// SQLSTATE, Postgres manual, appendix A.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
const DUPLICATE_TABLE: &str = "42P07";

const CORE_APPLIED: &str =
    "select version, checksum from rowcast.migrations where success order by version";
const CHAT_APPLIED: &str =
    "select version, checksum from rowcast.chat_migrations where success order by version";

/// The longest wait for the record.
const PATIENCE: Duration = Duration::from_secs(30);

/// Beside sqlx's lock, which is a session's, one that ends with its transaction.
const LOCK: &str = "select pg_advisory_xact_lock(1919903602, 3)";

/// What a role may not be allowed to call, in the one migration that calls it, and what stands for it then: the first server that
/// is told fills it in.
const REFUSABLE: (i64, [&str; 2]) = (
    2,
    [
        "(select system_identifier from pg_control_system())",
        "(select timeline_id from pg_control_checkpoint())",
    ],
);

fn core() -> Migrator {
    sqlx::migrate!()
}

/// The optional chat tables. Their record is separate: a database without them is complete.
fn chat() -> Migrator {
    let mut chat = sqlx::migrate!("migrations/chat");
    chat.dangerous_set_table_name("rowcast.chat_migrations");
    chat
}

/// Brings the schema `rowcast` up to date, and the chat tables if they are asked for. `folder` is that of the embedded
/// Postgres, where the database is in one.
///
/// # Errors
/// Names the right that is missing where the role lacks one, and says how to start over where no release made the schema.
pub(crate) async fn migrate(
    pool: &Pool,
    with_chat: bool,
    folder: Option<&Path>,
) -> anyhow::Result<()> {
    apply(pool, core(), CORE_APPLIED)
        .await
        .map_err(|error| explain(&error, pool, folder, "the schema rowcast"))?;
    if with_chat {
        apply(pool, chat(), CHAT_APPLIED)
            .await
            .map_err(|error| explain(&error, pool, folder, "the chat tables"))?;
    }
    Ok(())
}

/// Runs what is not applied yet. Where nothing is to be done it asks for no right to create anything, so that a server
/// may run as a role that can't.
async fn apply(
    pool: &Pool,
    mut migrator: Migrator,
    applied: &'static str,
) -> Result<(), MigrateError> {
    let read = within(pool, PATIENCE, async |connection| {
        sqlx::query_as(applied).fetch_all(connection).await
    });
    let applied: Vec<(i64, Vec<u8>)> = match read.await {
        Ok(applied) => applied,
        // There is a record that we may not read: the role is a server's, and can't migrate either.
        Err(sqlx::Error::Database(e))
            if e.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE)
                && e.message().contains("migrations") =>
        {
            return Err(MigrateError::Execute(sqlx::Error::Database(e)));
        }
        Err(_) => Vec::new(),
    };
    if let Some(version) = of_no_release(&migrator, &applied) {
        return Err(MigrateError::VersionMismatch(version));
    }
    let wanted = migrator
        .iter()
        .map(|migration| (migration.version, &*migration.checksum));
    if wanted.eq(applied
        .iter()
        .map(|(version, checksum)| (*version, &**checksum)))
    {
        return Ok(());
    }
    match run(pool, &migrator).await {
        Err(MigrateError::ExecuteMigration(refused, version)) if version == REFUSABLE.0 => {
            tracing::debug!(
                "migration {version} is applied without what Postgres refuses: {refused}"
            );
            do_without(&mut migrator);
            run(pool, &migrator).await
        }
        done => done,
    }
}

/// Runs the migrations.
async fn run(pool: &Pool, migrator: &Migrator) -> Result<(), MigrateError> {
    let (mut connection, link) = pool.acquire().await?;
    if link == Link::Direct {
        let done = migrator.run_direct(None, &mut *connection, false).await;
        if done.is_err() {
            // It has sqlx's lock still.
            connection.close_on_drop();
        }
        return done;
    }
    let begin = AssertSqlSafe(begin(pool.settings()));
    let mut transaction = connection.begin_with(begin).await?;
    run_at_once(&mut transaction, migrator).await?;
    Ok(transaction.commit().await?)
}

/// Does what sqlx does in one transaction and without its names and its lock, which would stay on a backend that others get.
async fn run_at_once(
    transaction: &mut PgConnection,
    migrator: &Migrator,
) -> Result<(), MigrateError> {
    let table = &migrator.table_name;
    let schema = if table.as_ref() == "rowcast.migrations" {
        "create schema if not exists rowcast;"
    } else {
        ""
    };
    let begin = format!(
        "{LOCK}; {schema} create table if not exists {table} (version bigint primary key, description text not null,
         installed_on timestamptz not null default now(), success boolean not null, checksum bytea not null,
         execution_time bigint not null)"
    );
    sqlx::raw_sql(AssertSqlSafe(begin))
        .execute(&mut *transaction)
        .await?;
    let read = format!("select version from {table}");
    let applied: Vec<i64> = sqlx::raw_sql(AssertSqlSafe(read))
        .fetch_all(&mut *transaction)
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<sqlx::Result<_>>()?;
    for migration in migrator.iter() {
        if applied.contains(&migration.version) {
            continue;
        }
        let failed = |error| MigrateError::ExecuteMigration(error, migration.version);
        sqlx::raw_sql(migration.sql.clone())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let checksum: String = migration
            .checksum
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let record = format!(
            "insert into {table} (version, description, success, checksum, execution_time)
             values ({}, '{}', true, decode('{checksum}', 'hex'), 0)",
            migration.version,
            migration.description.replace('\'', "''")
        );
        sqlx::raw_sql(AssertSqlSafe(record))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// The same migrations, under the same checksums, without the functions that are refused.
fn do_without(migrator: &mut Migrator) {
    let (version, functions) = REFUSABLE;
    for migration in migrator.migrations.to_mut() {
        if migration.version == version {
            let mut sql = migration.sql.as_str().to_owned();
            for function in functions {
                sql = sql.replace(function, "null::int");
            }
            migration.sql = AssertSqlSafe(sql).into_sql_str();
        }
    }
}

/// A migration that was applied with another text than it has here. None has been edited since the first release, so what was
/// applied is that of an earlier state of development.
fn of_no_release(migrator: &Migrator, applied: &[(i64, Vec<u8>)]) -> Option<i64> {
    let edited = |(version, checksum): &(i64, Vec<u8>)| {
        migrator
            .iter()
            .any(|ours| ours.version == *version && *ours.checksum != **checksum)
    };
    applied
        .iter()
        .find(|applied| edited(applied))
        .map(|(version, _)| *version)
}

/// One line that says what failed, what Postgres said, and the remedy where an operator has one.
fn explain(error: &MigrateError, pool: &Pool, folder: Option<&Path>, what: &str) -> anyhow::Error {
    if let MigrateError::VersionMismatch(_) = error {
        return start_over(folder, what);
    }
    let refused = match error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => e.as_database_error(),
        _ => None,
    };
    let said = refused.map_or_else(|| error.to_string(), |e| e.message().to_owned());
    let remedy = match error {
        _ if refused.and_then(|e| e.code()).as_deref() == Some(INSUFFICIENT_PRIVILEGE) => {
            let (role, database) = pool.role_and_database();
            let grant =
                if said.contains("table migrations") || said.contains("table chat_migrations") {
                    "select on rowcast.migrations".to_owned()
                } else if let Some((_, function)) = said.split_once("denied for function ") {
                    format!("execute on function {function}")
                } else if said.contains("schema public") {
                    "create on schema public".to_owned()
                } else {
                    format!("create on database {database:?}")
                };
            format!("; a right is missing, its owner can give it: grant {grant} to {role:?}")
        }
        _ if refused.and_then(|e| e.code()).as_deref() == Some(DUPLICATE_TABLE) => {
            "; the schema rowcast is there and its record of migrations is not, as after the restore of a dump without data: run \
             `drop schema rowcast cascade` in the database, then `rowcast migrate`, and attach your tables again; they keep their rows"
                .to_owned()
        }
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            "; a later version of Rowcast has migrated this database: run that one".to_owned()
        }
        _ => String::new(),
    };
    anyhow!("{what} could not be brought up to date: {said}{remedy}")
}

/// For a schema that no release has made.
fn start_over(folder: Option<&Path>, what: &str) -> anyhow::Error {
    let remedy = folder.map_or_else(
        || {
            "run `drop schema rowcast cascade` in the database, then `rowcast migrate` (with --chat for the chat tables), and \
             attach your own tables again; your tables keep their rows"
                .to_owned()
        },
        |folder| {
            format!(
                "remove the folder {}, with all that the embedded database holds",
                folder.display()
            )
        },
    );
    anyhow!(
        "{what} could not be brought up to date: a development version of Rowcast, from before the first release, has made this \
         database; to start over, {remedy}"
    )
}
