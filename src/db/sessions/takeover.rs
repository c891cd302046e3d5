//! The statement by which connections take resume sessions over.
//!
//! A takeover makes the asking connection the owner of the row and reads what the row holds, in one statement, so that two
//! connections which ask at once can't both have the session. The same statement notifies every server: the connection that
//! owned the session before, wherever it is, is closed by the server that it is connected to.

use std::collections::HashMap;

use sqlx::{Row as _, postgres::PgRow};

use super::{PATIENCE, ResumeSession, SessionProgress, StoredSession, hashes};
use crate::db::numbers::notify_queue_limit;
use crate::db::outbox::{database_state, database_state_columns};
use crate::db::pools::Pool;
use crate::db::query_batcher::column;
use crate::db::read_error::ReadError;
use crate::db::retry::within;
use crate::offset::DatabaseState;

/// Of connections that ask for one session, the last has it: the client of the others has gone on to that one.
/// `$1`, `$2` and `$3` are one row each: the pid's hash, the identity and the new owner. The notification is split, because the
/// payload of one is limited to 8,000 bytes; it is left out where the queue is filling up, which would fail the takeover. The state of the database is in every row, also where no session was found.
const TAKE_OVER: &str = concat!(
    "
with asked as (
    select distinct on (pid_hash, identity) pid_hash, identity, owner
    from unnest($1::bytea[], $2::text[], $3::int8[]) with ordinality as a (pid_hash, identity, owner, place)
    order by pid_hash, identity, place desc
), mine as (
    select s.pid_hash, a.owner from rowcast.sessions s join asked a using (pid_hash)
    where s.identity = a.identity order by s.pid_hash for update of s
), taken as (
    update rowcast.sessions s set owner = mine.owner, updated_at = now(), ended_at = now() from mine
    where s.pid_hash = mine.pid_hash
    returning s.pid_hash, s.rooms::text as rooms, s.last_sent_offset, s.complete_to_offset, mine.owner
), notified as (
    select count(pg_notify('rowcast_session', rowcast.signed('rowcast_session', entries))) from (
        select string_agg(encode(pid_hash, 'hex') || ':' || owner, ',') as entries
        from (select *, row_number() over () / 100 as page from taken) t group by page
    ) pages
    where pg_notification_queue_usage() < ",
    notify_queue_limit!(),
    "
), present as (",
    database_state_columns!(),
    ")
select present.*, taken.*, (select count from notified) as notified from present left join taken on true"
);

/// The outcome of one connection's request for a resume session.
#[derive(Clone, Debug)]
pub(crate) struct Takeover {
    /// What the session holds; `None` if no session has that pid and that identity.
    pub stored: Option<StoredSession>,
    /// The database at that moment: offsets are compared with it.
    pub state: DatabaseState,
}

/// Answers the requests in their order.
pub(super) async fn take_over(
    pool: &Pool,
    requests: &[ResumeSession],
) -> Result<Vec<Takeover>, ReadError> {
    let query = sqlx::query(TAKE_OVER)
        .bind(hashes(requests))
        .bind(column(requests, |session| session.identity.to_string()))
        .bind(column(requests, |session| session.owner));
    let rows = within(pool, PATIENCE, async |connection| {
        query.fetch_all(connection).await
    })
    .await?;
    let (state, _) = database_state(rows.first().ok_or(sqlx::Error::RowNotFound)?)?;
    let mut found = HashMap::new();
    for row in &rows {
        if let Some(hash) = row.try_get::<Option<Vec<u8>>, _>("pid_hash")? {
            let owner: i64 = row.try_get("owner")?;
            found.insert((hash, owner), stored_session(row)?);
        }
    }
    let takeover = |session: &ResumeSession| Takeover {
        stored: found.get(&(session.pid.0.to_vec(), session.owner)).cloned(),
        state: state.clone(),
    };
    Ok(requests.iter().map(takeover).collect())
}

fn stored_session(row: &PgRow) -> sqlx::Result<StoredSession> {
    let rooms: String = row.try_get("rooms")?;
    Ok(StoredSession {
        rooms: serde_json::from_str(&rooms).unwrap_or_default(),
        progress: SessionProgress {
            last_sent_offset: row.try_get("last_sent_offset")?,
            complete_to_offset: row.try_get("complete_to_offset")?,
        },
    })
}
