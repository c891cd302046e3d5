//! Why presence can't be written or read.

use super::PATIENCE;
use crate::db::fault::{cause_of, is_refused};

/// Why presence can't be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PresenceError {
    /// The database refused, or the connection is gone.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A half-open connection.
    #[error("no answer from Postgres within {} s", PATIENCE.as_secs())]
    Silent(#[from] tokio::time::error::Elapsed),
    /// Somebody removed the server's row, or the table is another one: everything is written again.
    #[error("the server's row in rowcast.presence_servers is gone")]
    Unknown,
}

impl PresenceError {
    /// For a person.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Database(error) => cause_of(error),
            error => error.to_string(),
        }
    }

    /// Whether the database refuses it, and not only now.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Database(error) if is_refused(error))
    }
}
