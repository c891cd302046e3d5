//! Applies the migrations that are compiled in.
//!
//! The same files that `sqlx migrate run` applies, recorded in tables of our own schema. The advisory lock of sqlx's
//! migrator serialises two servers that start at once.

use anyhow::anyhow;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPool;

/// SQLSTATE, Postgres manual, appendix A.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

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
    CORE.run(pool)
        .await
        .map_err(|error| explain(&error, pool, "the schema rowcast"))?;
    if with_chat {
        chat()
            .run(pool)
            .await
            .map_err(|error| explain(&error, pool, "the chat tables"))?;
    }
    Ok(())
}

/// One line that says what failed, what Postgres said, and the remedy where an operator has one.
fn explain(error: &MigrateError, pool: &PgPool, what: &str) -> anyhow::Error {
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
            let grant = if said.contains("schema public") {
                "create on schema public".to_owned()
            } else {
                format!("create on database {database:?}")
            };
            format!("; a right is missing, its owner can give it: grant {grant} to {role:?}")
        }
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            "; a later version of Rowcast has migrated this database: run that one".to_owned()
        }
        MigrateError::VersionMismatch(_) => {
            "; another build of Rowcast has migrated this database".to_owned()
        }
        _ => String::new(),
    };
    anyhow!("{what} could not be brought up to date: {said}{remedy}")
}
