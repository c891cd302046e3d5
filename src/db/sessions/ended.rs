//! Sessions of rights that have ended: of clients that were taken out of a room, and of those who may nothing any more.

use std::time::Duration;

use super::{ResumeSession, Sessions, StoreError, StoredSession};
use crate::db::revocations;

impl Sessions {
    /// Stores a session. That of a client which `was_taken_out` of its last room is removed instead: if it was not told in time, it must not
    /// go on without knowing. False: another connection has the session by now.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn store_or_forget(
        &self,
        session: ResumeSession,
        stored: StoredSession,
        was_taken_out: bool,
    ) -> Result<bool, StoreError> {
        if was_taken_out && stored.rooms.is_empty() {
            self.forget(&session).await?;
            return Ok(true);
        }
        self.store(session, stored).await
    }

    /// Ends the sessions of those whose rights have ended: of `subjects`, or of everybody. Says how many.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn end_revoked(&self, subjects: Option<&[String]>) -> sqlx::Result<i64> {
        revocations::end_stored_sessions(&self.pool, subjects).await
    }

    /// Removes revocations that are older than `kept`.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn prune_revocations(&self, kept: Duration) -> sqlx::Result<()> {
        while revocations::prune_revocations(&self.pool, kept).await? {}
        Ok(())
    }
}
