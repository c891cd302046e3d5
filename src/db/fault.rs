//! What the database said, for a person: without the names of its source files, and with the remedy where there is one.

use std::borrow::Cow;

use super::retry::{SQLSTATE_NO_RIGHT, SQLSTATE_READ_ONLY};

/// Characters of a message that are told: what raises an error may say anything in it, a whole table.
const MAX_MESSAGE: usize = 1000;
/// SQLSTATE, Postgres manual, appendix A.
const DISK_FULL: &str = "53100";

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

/// What failed, in words.
pub(crate) fn cause_of(error: &sqlx::Error) -> String {
    let Some(said) = error.as_database_error() else {
        return match error {
            sqlx::Error::PoolTimedOut => {
                "Postgres gave no connection or no answer in time".to_owned()
            }
            // Our own words.
            sqlx::Error::Protocol(said) => said.clone(),
            error => error.to_string(),
        };
    };
    let remedy = match said.code().as_deref() {
        Some(SQLSTATE_NO_RIGHT) => "; `rowcast doctor` names the right, `rowcast grant` prints it",
        Some(DISK_FULL) => "; make room on the disk of Postgres",
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
