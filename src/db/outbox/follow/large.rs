//! What the reader asks of the outbox where it leaves a large read to the replays.

use tokio::time::timeout;

use super::{FLUSH, Follow, FollowError, PATIENCE, SETTINGS};
use crate::db::backend::Backend;
use crate::db::link::scoped;
use crate::event::Room;
use crate::offset::Snapshot;

/// Which of the rooms `$2` have an event that the snapshot `$1` does not see, or are to be reloaded by one. An event of other rooms, or
/// one that was seen then, is never looked at.
const ROOMS_SINCE: &str = "
select room from unnest($2::text[]) as asked (room)
where exists (
    select from rowcast.events e where e.room = asked.room and e.xid >= pg_snapshot_xmax($1::text::pg_snapshot)
) or exists (
    select from rowcast.events e
    where e.room = asked.room and e.xid = any(array(select pg_snapshot_xip($1::text::pg_snapshot)))
) or asked.room like any(array(
    select json_array_elements_text(e.data -> 'rooms') from rowcast.events e
    where e.room = 'rowcast:reloads' and e.source = 'rowcast.reload' and not pg_visible_in_snapshot(e.xid, $1::text::pg_snapshot)
))";

impl Follow {
    /// Waits until everything that is visible is on disk, and says which of these rooms have an event that `before` does not
    /// see.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn flush_and_find_rooms(
        &mut self,
        before: &Snapshot,
        rooms: &[Room],
    ) -> Result<Vec<Room>, FollowError> {
        let connected = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        let (connection, link) = (&mut connected.connection, connected.link);
        let names: Vec<&str> = rooms.iter().map(Room::as_str).collect();
        let find = sqlx::query_scalar(ROOMS_SINCE)
            .bind(before.to_string())
            .bind(names);
        let ask = async {
            sqlx::raw_sql(FLUSH).execute(&mut *connection).await?;
            let find = async |on: &mut Backend<'_>| find.fetch_all(on).await;
            scoped(connection, link, SETTINGS, find).await
        };
        let found: sqlx::Result<Vec<String>> = timeout(PATIENCE, ask).await?;
        let found = found?;
        Ok(found.iter().map(|room| room.as_str().into()).collect())
    }
}
