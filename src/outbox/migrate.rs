//! Applies the migrations that are compiled in.
//!
//! The same files that `sqlx migrate run` applies, recorded in tables of our own schema. The advisory lock of sqlx's
//! migrator serialises two servers that start at once.

use anyhow::Context as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPool;

static CORE: Migrator = sqlx::migrate!();

/// The optional chat tables. Their record is separate: a database without them is complete.
fn chat() -> Migrator {
    let mut chat = sqlx::migrate!("migrations/chat");
    chat.dangerous_set_table_name("rowcast.chat_migrations");
    chat
}

/// Brings the schema `rowcast` up to date, and the chat tables if they are asked for.
///
/// # Errors
/// Names the right that is missing where the role lacks one.
pub async fn migrate(pool: &PgPool, with_chat: bool) -> anyhow::Result<()> {
    CORE.run(pool).await.map_err(explain)?;
    if with_chat {
        chat()
            .run(pool)
            .await
            .map_err(explain)
            .context("the chat tables could not be made")?;
    }
    Ok(())
}

/// Adds the remedy to the failures that an operator can mend.
fn explain(error: MigrateError) -> anyhow::Error {
    let code = match &error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => e
            .as_database_error()
            .and_then(|e| e.code())
            .map(|code| code.into_owned()),
        _ => None,
    };
    let remedy = match (&error, code.as_deref()) {
        (_, Some("42501")) => {
            "the role lacks a right: it needs CREATE on the database (`grant create on database ... to ...`), \
             and CREATE on schema public for the chat tables"
        }
        (MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..), _) => {
            "the database was migrated by a later version of Rowcast: run that version"
        }
        (MigrateError::VersionMismatch(_), _) => {
            "the database was migrated by another build of Rowcast"
        }
        _ => return anyhow::Error::new(error).context("migrations failed"),
    };
    anyhow::Error::new(error).context(format!("migrations failed: {remedy}"))
}
