//! Why a read of the outbox or of the resume sessions failed.
//!
//! Three reasons, of which two pass by themselves: the database is away, or it has recovered from a crash and the reader has not
//! recorded that yet. Whoever waits for such a read to work logs the wait with [`log_wait`].

use super::fault::cause_of;
use super::retry::is_transient;
use crate::offset::BadSnapshot;

/// Why the outbox can't be read right now, or not at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The database refused, or the connection is gone.
    #[error("{}", cause_of(.0))]
    Database(#[from] sqlx::Error),
    /// Postgres said something that is no snapshot.
    #[error(transparent)]
    Snapshot(#[from] BadSnapshot),
    /// The database recovered from a crash a moment ago, and the reader has not found out yet.
    #[error("the database has recovered from a crash a moment ago")]
    Recovering,
}

/// Says that something waits for the database: a warning where waiting alone won't mend it. Not for what is tried again and
/// again by many clients, which would flood the log: the checks of `status` say that once.
pub(crate) fn log_wait(what: &str, error: &ReadError) {
    match error {
        ReadError::Recovering => tracing::debug!("{what} waits: {error}"),
        ReadError::Database(e) if is_transient(e) => tracing::debug!("{what} waits: {error}"),
        ReadError::Database(_) | ReadError::Snapshot(_) => tracing::warn!("{what} waits: {error}"),
    }
}
