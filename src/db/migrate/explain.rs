//! Why the schema could not be brought up to date, in one line that says what to do.

use std::path::Path;

use anyhow::anyhow;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnectOptions;

use crate::db::retry::SQLSTATE_NO_RIGHT;

/// SQLSTATE duplicate_table (Postgres manual, appendix A).
const DUPLICATE_TABLE: &str = "42P07";

/// One line that says what failed, what Postgres said, and the remedy where an operator has one.
pub(super) fn explain(
    error: &MigrateError,
    options: &PgConnectOptions,
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
        _ if refused.and_then(|e| e.code()).as_deref() == Some(SQLSTATE_NO_RIGHT) => {
            let role = options.get_username();
            let database = options.get_database().unwrap_or(role);
            let grant =
                if said.contains("table migrations") || said.contains("table chat_migrations") {
                    "select on rowcast.migrations".to_owned()
                } else if let Some((_, function)) = said.split_once("denied for function ") {
                    format!("execute on function {function}")
                } else if said.contains("schema public") {
                    "create on schema public".to_owned()
                } else if said.contains("schema rowcast") {
                    "usage on schema rowcast".to_owned()
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
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => format!(
            "; a later version of Rowcast has migrated this database: run that one, or one after it, and not {}; to stay with \
             this one, restore a backup from before the upgrade",
            env!("CARGO_PKG_VERSION")
        ),
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
