//! What the database said, for a person: without the names of its source files, and with the remedy where there is one.

use std::borrow::Cow;

use super::retry::{SQLSTATE_NO_RIGHT, SQLSTATE_READ_ONLY};

/// Characters of a message that are told: what raises an error may say anything in it, a whole table.
const MAX_MESSAGE: usize = 1000;
/// SQLSTATE, Postgres manual, appendix A.
const DISK_FULL: &str = "53100";
/// Said where the disk is full.
pub(super) const NO_ROOM: &str = "; make room on the disk of Postgres";
const NO_TABLE: &str = "42P01";
const NO_SCHEMA: &str = "3F000";
const NO_FUNCTION: &str = "42883";

/// Whether it is the connection that failed, and not what was asked.
pub(super) fn is_about_the_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(e) => e
            .code()
            .is_some_and(|code| matches!(code.get(..2), Some("08" | "57"))),
        _ => false,
    }
}

/// Whether Postgres was asked and said no: it is there, and won't do this.
pub(crate) fn is_refused(error: &sqlx::Error) -> bool {
    !is_about_the_connection(error) && error.as_database_error().is_some()
}

/// Why rights can't be given, for the person who gives them: what the database said, in words.
pub(crate) fn ungiven(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<sqlx::Error>() {
        Ok(error) => {
            let mend =
                "; let DATABASE_URL be that of the owner of the schema rowcast, or of a superuser";
            anyhow::anyhow!("{}", cause_with(&error, mend))
        }
        Err(error) => error,
    }
}

fn without_place(said: &str) -> &str {
    said.split_once(" (sqlx_").map_or(said, |(said, _)| said)
}

/// Whether Postgres has no room on its disk.
pub(super) fn is_disk_full(error: &sqlx::Error) -> bool {
    let said = error.as_database_error();
    said.is_some_and(|said| said.code().as_deref() == Some(DISK_FULL))
}

/// What failed, in words.
pub(crate) fn cause_of(error: &sqlx::Error) -> String {
    cause_with(
        error,
        "; `rowcast doctor` names the right, `rowcast grant` prints it",
    )
}

/// The same where something else than the rights of a server mends a right that is missing: `right` says what.
pub(crate) fn cause_with(error: &sqlx::Error, right: &str) -> String {
    let Some(said) = error.as_database_error() else {
        return match error {
            sqlx::Error::PoolTimedOut => {
                "Postgres gave no connection or no answer in time".to_owned()
            }
            // Our own words, or the library's, which end with where in it that was.
            sqlx::Error::Protocol(said) => without_place(said).to_owned(),
            error => error.to_string(),
        };
    };
    let remedy = match said.code().as_deref() {
        Some(SQLSTATE_NO_RIGHT) => right,
        Some(DISK_FULL) => NO_ROOM,
        Some(NO_TABLE | NO_SCHEMA | NO_FUNCTION) if said.message().contains("rowcast") => {
            "; the schema is not in this database, or is older than this binary: rowcast migrate"
        }
        Some(SQLSTATE_READ_ONLY) => {
            "; the database takes no writes: a standby, or default_transaction_read_only"
        }
        _ => "",
    };
    format!("{}{remedy}", cut(said.message()))
}

/// The beginning of a message, and how much there is beside.
fn cut(message: &str) -> Cow<'_, str> {
    match message.char_indices().nth(MAX_MESSAGE) {
        None => message.into(),
        Some((end, _)) => format!("{}... ({} bytes)", &message[..end], message.len()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut() {
        assert_eq!(cut("no"), "no");
        assert_eq!(cut(&"é".repeat(MAX_MESSAGE)), "é".repeat(MAX_MESSAGE));
        let long = "é".repeat(MAX_MESSAGE + 1);
        let told = format!("{}... (2002 bytes)", "é".repeat(MAX_MESSAGE));
        assert_eq!(cut(&long), told);
    }
}
