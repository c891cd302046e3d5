//! The statement by which a session is told that its connection has ended.
//!
//! Owns the row's size: what is counted against a share ([`super::ended_share`]) is what Postgres keeps of the row, compressed.

use std::collections::HashMap;

use super::{PATIENCE, ResumeSession, SessionProgress, Sessions, StoreError, hashes, same};
use crate::db::query_batcher::column;
use crate::db::retry::within;

/// About what a row takes: the fields that a client can make large, and beside them its head, the other fields, and index entries.
macro_rules! row_bytes {
    () => {
        "(pg_column_size(rooms) + pg_column_size(identity) + pg_column_size(last_sent_offset) + pg_column_size(complete_to_offset) + 250)"
    };
}
pub(super) use row_bytes;

const END: &str = concat!(
    "
update rowcast.sessions s
set last_sent_offset = e.last_sent, complete_to_offset = e.complete_to, updated_at = now(), ended_at = now()
from unnest($1::bytea[], $2::int8[], $3::text[], $4::text[]) as e (hash, owner, last_sent, complete_to)
where s.pid_hash = e.hash and s.owner = e.owner
returning s.pid_hash, s.owner, ",
    row_bytes!(),
    "::int8"
);

impl Sessions {
    /// Writes down how far a client was served whose connection has ended.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn end(
        &self,
        session: ResumeSession,
        progress: SessionProgress,
    ) -> Result<(), StoreError> {
        let counted_for = session.counted_for;
        let together =
            async |ended: Vec<(ResumeSession, SessionProgress)>| match self.end_all(&ended).await {
                Ok(bytes) => bytes.into_iter().map(Ok).collect(),
                Err(error) => same(&ended, error),
            };
        let bytes = self.ends.ask((session, progress), together).await?;
        if let (Some(counted_for), Some(bytes)) = (counted_for, bytes) {
            self.ended_shares.add(counted_for, bytes, self.share_bytes);
        }
        Ok(())
    }

    /// The bytes of each row, in their order; none where it is another connection's, or is not there.
    async fn end_all(
        &self,
        ended: &[(ResumeSession, SessionProgress)],
    ) -> sqlx::Result<Vec<Option<u64>>> {
        let (sessions, progress): (Vec<ResumeSession>, Vec<SessionProgress>) =
            ended.iter().cloned().unzip();
        let end = sqlx::query_as(END)
            .bind(hashes(&sessions))
            .bind(column(&sessions, |session| session.owner))
            .bind(column(&progress, |it| it.last_sent_offset.clone()))
            .bind(column(&progress, |it| it.complete_to_offset.clone()));
        let rows: Vec<(Vec<u8>, i64, i64)> = within(&self.pool, PATIENCE, async |connection| {
            end.fetch_all(connection).await
        })
        .await?;
        let bytes: HashMap<_, _> = rows
            .into_iter()
            .map(|(hash, owner, bytes)| ((hash, owner), bytes.unsigned_abs()))
            .collect();
        let of =
            |session: &ResumeSession| bytes.get(&(session.pid.0.to_vec(), session.owner)).copied();
        Ok(sessions.iter().map(of).collect())
    }
}
