//! The last events of a room, and one event, as an operator looks them up.
//!
//! Refuses the rooms that are the servers' own. A payload is read only where it is asked for, and only if a person could read it.

use std::time::Duration;

use serde::Serialize;

use crate::db::pools::Pool;
use crate::db::retry::within;
use crate::event::Room;

const PATIENCE: Duration = Duration::from_secs(5);
/// The largest payload that is shown, in bytes.
const MAX_SHOWN: i32 = 256 * 1024;

/// In the order of the index on rooms. Those of one transaction are in the order in which they were written.
const LAST: &str = "
select id, room, event, source, octet_length(data::text) as bytes, (extract(epoch from at) * 1000)::int8 as at_ms, null as data
from rowcast.events where room = $1 and not starts_with(room, 'rowcast:') order by xid desc, id desc limit $2";

const ONE: &str = "
select id, room, event, source, octet_length(data::text) as bytes, (extract(epoch from at) * 1000)::int8 as at_ms,
       case when octet_length(data::text) <= $2 then data::text end as data
from rowcast.events where id = $1 and not starts_with(room, 'rowcast:')";

/// An event as a line of a list.
#[derive(Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventLine {
    /// Its id in the outbox, as text: it may be beyond what JavaScript counts exactly.
    #[serde(serialize_with = "as_text")]
    pub id: i64,
    /// Its room.
    pub room: String,
    /// Its name.
    pub event: String,
    /// The attached table that it came from; `None` for one of `rowcast.emit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Bytes of its payload.
    pub bytes: i32,
    /// When it was written, in milliseconds since 1970, by the database's clock.
    pub at_ms: i64,
    /// Its payload, as JSON, where that was asked for and is not too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

fn as_text<S: serde::Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// The last events of a room, the newest first.
///
/// # Errors
/// The database's own, or that there was no answer in time.
pub(crate) async fn last_events(
    pool: &Pool,
    room: &Room,
    most: i64,
) -> sqlx::Result<Vec<EventLine>> {
    let query = sqlx::query_as(LAST).bind(room.as_str()).bind(most);
    within(pool, PATIENCE, async |connection| {
        query.fetch_all(connection).await
    })
    .await
}

/// One event with its payload, if it is still kept.
///
/// # Errors
/// The database's own, or that there was no answer in time.
pub(crate) async fn one_event(pool: &Pool, id: i64) -> sqlx::Result<Option<EventLine>> {
    let query = sqlx::query_as(ONE).bind(id).bind(MAX_SHOWN);
    within(pool, PATIENCE, async |connection| {
        query.fetch_optional(connection).await
    })
    .await
}
