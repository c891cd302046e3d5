//! The table of revocations, as the reader reads it when it may have missed the event of one.

use tokio::time::timeout;

use super::{Follow, FollowError, PATIENCE, SETTINGS};
use crate::db::backend::Backend;
use crate::db::link::scoped;
use crate::revocations::Revocation;

const REVOCATIONS: &str = "
select subject, issuer, room, floor(extract(epoch from revoked_at))::int8 from rowcast.revocations";

type Row = (String, Option<String>, Option<String>, i64);

impl Follow {
    /// Every revocation that is kept. What its client was told is not read again.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn revocations(&mut self) -> Result<Vec<Revocation>, FollowError> {
        let connected = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        let read = async |on: &mut Backend<'_>| sqlx::query_as(REVOCATIONS).fetch_all(on).await;
        let (connection, link) = (&mut connected.connection, connected.link);
        let read = scoped(connection, link, SETTINGS, read);
        let rows: sqlx::Result<Vec<Row>> = timeout(PATIENCE, read).await?;
        let revocation = |(subject, issuer, room, at): Row| Revocation {
            subject,
            issuer,
            room,
            at,
            reason: None,
        };
        Ok(rows?.into_iter().map(revocation).collect())
    }
}
