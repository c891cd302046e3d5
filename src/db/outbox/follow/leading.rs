//! The lock of the one server that reads for all which share a relay: held by the reader's connection, and gone with it.

use super::{Follow, FollowError};
use crate::db::numbers::leader_key;

/// A term is numbered by a transaction id of its own: no later one is lower. On a standby this fails, as it should.
const TRY_TO_LEAD: &str = concat!(
    "select case when pg_try_advisory_lock(",
    leader_key!(),
    ") then pg_current_xact_id()::text::int8 end"
);
const STOP_LEADING: &str = concat!("select pg_advisory_unlock(", leader_key!(), ")");

impl Follow {
    /// Tries to become the server that tells others: the number of its term. `None`: another one is, or a pooler is in the way.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn try_to_lead(&mut self) -> Result<Option<u64>, FollowError> {
        if self.is_pooled() {
            return Ok(None);
        }
        let term: Option<i64> = self.ask(TRY_TO_LEAD).await?;
        Ok(term.map(i64::cast_unsigned))
    }

    /// Lets another server lead.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn stop_leading(&mut self) -> Result<(), FollowError> {
        self.ask::<bool>(STOP_LEADING).await.map(|_| ())
    }
}
