//! Why there is no page of history.

use crate::db::read_error::ReadError;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// No attached table has messages of rooms of this kind.
    #[error(
        "no attached table has messages: attach one with on_insert => 'message:new' and a room {0}:{{column}}"
    )]
    Unattached(String),
    /// What is attached is hidden from the role.
    #[error(
        "row security hides rows of rowcast.attached from this server's role: `rowcast doctor` says how to mend it"
    )]
    Hidden,
    /// There is no message of that id in the room.
    #[error("the room has no message of that id")]
    UnknownId,
    /// Several messages have that id in the room.
    #[error("the room has several messages of that id")]
    AmbiguousId,
    /// The owner of a table has not let us read it.
    #[error(
        "history may not read {table}; its owner can give the right: grant select on {table} to {role:?} (and usage on its schema)"
    )]
    NotGranted {
        /// Qualified: the one that history would read.
        from: String,
        /// Qualified: the one that may not be read, the same or one that is looked up.
        table: String,
        /// Who we are.
        role: String,
    },
    /// What a room is called after is not there.
    #[error(
        "history can't be read from {from}: the lookup {lookup:?} finds no table {table} as it was; attach it again"
    )]
    LookupGone {
        /// Qualified.
        from: String,
        /// Its name.
        lookup: String,
        /// Qualified.
        table: String,
    },
    /// A table can't be read.
    #[error("history can't be read from {table}: {error}")]
    Table {
        /// Qualified.
        table: String,
        /// Why.
        error: sqlx::Error,
    },
    /// The outbox can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl HistoryError {
    /// The table that can't be read, where it is one and the others may be.
    pub(super) fn table(&self) -> Option<&str> {
        match self {
            Self::NotGranted { from, .. } | Self::LookupGone { from, .. } => Some(from),
            Self::Table { table, error } if is_permanent(error) => Some(table),
            _ => None,
        }
    }
}

/// Whether a statement on a table fails because of what the table is (SQLSTATE classes for data, names, rights, and what a function
/// of the owner's raises), and not because of the moment.
fn is_permanent(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| {
        matches!(
            code.get(..2),
            Some("0A" | "21" | "22" | "2F" | "38" | "39" | "42" | "44" | "P0" | "XX")
        )
    })
}

impl From<sqlx::Error> for HistoryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Read(error.into())
    }
}
