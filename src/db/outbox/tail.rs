//! The outbox as somebody who looks on sees it: what all rooms got, or one, from a moment on.
//!
//! One statement sees one snapshot and is read as a stream, so a long past costs no memory. It takes no key and wakes nobody: writers
//! don't notice.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::epoch::{self, database_state_columns};
use super::row;
use super::sendable::sendable;
use crate::db::Database;
use crate::db::backend::Backend;
use crate::db::link::{Link, Settings, scoped};
use crate::db::read_error::ReadError;
use crate::event::{Event, Room};
use crate::offset::{DatabaseState, Seen};

/// What is visible now, or in the snapshot `$2`, and was not in `$1`; `$3` seconds old at most; of the room `$4`; with ids above `$5`.
/// A null sets no bound.
const TAIL: &str = concat!(
    "
with present as materialized (",
    database_state_columns!(),
    "), found as materialized (
    select id, xid, at, room, event, source, data from rowcast.events
    where ($1::text is null
           or xid >= pg_snapshot_xmin($1::text::pg_snapshot) and not pg_visible_in_snapshot(xid, $1::text::pg_snapshot))
      and ($2::text is null or pg_visible_in_snapshot(xid, $2::text::pg_snapshot))
      and ($3::float8 is null or at >= clock_timestamp() - make_interval(secs => $3::float8))
      and ($4::text is null or room = $4::text)
      and id > $5::int8
)
select present.*, e.*
from present
left join (
    select id, xid::text::int8 as xid, event, source, (extract(epoch from at) * 1000000)::int8 as at_us,
           ",
    sendable!("$6"),
    ",
           extract(epoch from clock_timestamp() - at)::float8 as age
    from found
) e on true
order by e.id"
);
/// Each statement is planned for its own values: those of a long past want another plan than those of a moment ago.
const SETTINGS: Settings = Settings {
    local: &[
        ("plan_cache_mode", "force_custom_plan"),
        ("statement_timeout", "0"),
    ],
    read_only: true,
};

/// From where on somebody looks.
#[derive(Clone, Debug)]
pub(crate) enum TailFrom {
    /// From now on.
    Now,
    /// From so long ago, as far as it is kept.
    Ago(Duration),
    /// From what was seen on.
    Seen(Seen),
}

/// Who is told what a look finds. Answers whether the look is to go on.
pub(crate) trait Onlooker {
    /// Where the database is, and whether all that is visible is on disk. Comes first.
    fn at(&mut self, state: DatabaseState, durable: bool) -> bool;
    /// An event, in the order of their ids.
    fn event(&mut self, event: Event) -> bool;
}

/// Somebody who looks.
pub(crate) struct Tail {
    database: Database,
    room: Option<Room>,
    max_payload: i32,
    connection: Option<(PgConnection, Link)>,
}

impl Tail {
    /// At one room, or at all. Payloads above `max_payload` bytes are reduced to their ids.
    pub(crate) fn new(database: Database, room: Option<Room>, max_payload: usize) -> Self {
        Self {
            database,
            room,
            max_payload: max_payload.try_into().unwrap_or(i32::MAX),
            connection: None,
        }
    }

    /// Tells everything from there on that is committed by now. False: it was stopped by whom it told.
    ///
    /// # Errors
    /// The database's own. What was told stays told: go on from there.
    pub(crate) async fn look(
        &mut self,
        from: &TailFrom,
        onlooker: &mut impl Onlooker,
    ) -> Result<bool, ReadError> {
        let (mut connection, link) = match self.connection.take() {
            Some(open) => open,
            None => self.database.open("rowcast tail", SETTINGS).await?,
        };
        let room = self.room.as_ref().map(Room::as_str);
        let max_payload = self.max_payload;
        let goes_on = scoped(&mut connection, link, SETTINGS, async |connection| {
            tell(connection, from, room, max_payload, onlooker).await
        })
        .await?;
        if goes_on {
            self.connection = Some((connection, link));
        }
        Ok(goes_on)
    }
}

async fn tell(
    connection: &mut Backend<'_>,
    from: &TailFrom,
    room: Option<&str>,
    max_payload: i32,
    onlooker: &mut impl Onlooker,
) -> Result<bool, ReadError> {
    let (mut before, mut batch, mut seconds, mut after) = (None, None, None, i64::MIN);
    match from {
        TailFrom::Now => after = i64::MAX,
        TailFrom::Ago(past) => seconds = Some(past.as_secs_f64()),
        TailFrom::Seen(Seen::All(seen)) => before = Some(seen.to_string()),
        TailFrom::Seen(Seen::Part {
            before: seen,
            batch: begun,
            id,
        }) => {
            (before, batch, after) = (Some(seen.to_string()), Some(begun.to_string()), *id);
        }
    }
    let query = sqlx::query(TAIL)
        .bind(before)
        .bind(batch)
        .bind(seconds)
        .bind(room)
        .bind(after)
        .bind(max_payload);
    let mut rows = query.fetch(&mut *connection);
    let mut is_first = true;
    while let Some(row) = rows.try_next().await? {
        if std::mem::take(&mut is_first) {
            let (state, durable) = epoch::database_state(&row)?;
            if !onlooker.at(state, durable) {
                return Ok(false);
            }
        }
        if let Some(event) = event(&row)?
            && !onlooker.event(event)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The row's event, if it has one that anybody could be sent.
fn event(row: &PgRow) -> sqlx::Result<Option<Event>> {
    let Some(id) = row.try_get::<Option<i64>, _>("id")? else {
        return Ok(None);
    };
    let event = row::event(id, row).ok();
    Ok(event.filter(|event| !event.room.is_reserved()))
}
