//! Applies the migrations that are compiled in.
//!
//! They are the same files that `sqlx migrate run` applies, and they are recorded in tables of our own schema. The advisory lock
//! of sqlx's migrator serialises two servers that start at once.
//! Refuses a database in which a migration has another text than here: that is from before the first release.

use std::path::Path;

use anyhow::anyhow;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPool;

/// SQLSTATE, Postgres manual, appendix A.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

const CORE_APPLIED: &str =
    "select version, checksum from rowcast.migrations where success order by version";
const CHAT_APPLIED: &str =
    "select version, checksum from rowcast.chat_migrations where success order by version";

static CORE: Migrator = sqlx::migrate!();

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
    pool: &PgPool,
    with_chat: bool,
    folder: Option<&Path>,
) -> anyhow::Result<()> {
    apply(pool, &CORE, CORE_APPLIED)
        .await
        .map_err(|error| explain(&error, pool, folder, "the schema rowcast"))?;
    if with_chat {
        apply(pool, &chat(), CHAT_APPLIED)
            .await
            .map_err(|error| explain(&error, pool, folder, "the chat tables"))?;
    }
    Ok(())
}

/// What a record of applied migrations lacks, or has too much.
pub(super) enum Pending {
    /// They are the ones that are compiled in.
    None,
    /// So many are not applied yet.
    Missing(usize),
    /// This one is not compiled in, or with another text.
    Unknown(i64),
}

/// Compares the versions that were applied, and their checksums in hexadecimal, with those that are compiled in.
pub(super) fn pending(applied: &[(i64, String)]) -> Pending {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let ours: Vec<_> = CORE
        .iter()
        .map(|migration| (migration.version, hex(&migration.checksum)))
        .collect();
    if let Some((version, _)) = applied.iter().find(|one| !ours.contains(one)) {
        return Pending::Unknown(*version);
    }
    match ours.len() - applied.len() {
        0 => Pending::None,
        missing => Pending::Missing(missing),
    }
}

/// Runs what is not applied yet. Where nothing is to be done it asks for no right to create anything, so that a server
/// may run as a role that can't.
async fn apply(
    pool: &PgPool,
    migrator: &Migrator,
    applied: &'static str,
) -> Result<(), MigrateError> {
    let applied: Vec<(i64, Vec<u8>)> = match sqlx::query_as(applied).fetch_all(pool).await {
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
    if let Some(version) = of_no_release(migrator, &applied) {
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
    migrator.run(pool).await
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
fn explain(
    error: &MigrateError,
    pool: &PgPool,
    folder: Option<&Path>,
    what: &str,
) -> anyhow::Error {
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
            let options = pool.connect_options();
            let role = options.get_username();
            let database = options.get_database().unwrap_or(role);
            let grant =
                if said.contains("table migrations") || said.contains("table chat_migrations") {
                    "select on rowcast.migrations".to_owned()
                } else if said.contains("schema public") {
                    "create on schema public".to_owned()
                } else {
                    format!("create on database {database:?}")
                };
            format!("; a right is missing, its owner can give it: grant {grant} to {role:?}")
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
