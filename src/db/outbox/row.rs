//! A row of the outbox as an event.
//!
//! Shared by the two statements that read events, which therefore name their columns alike. A row that can't become an event
//! is the caller's to count and to skip.

use std::time::Duration;

use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::event::{Event, Room};

/// What `rowcast.revoke` and `rowcast.tell_to_reload` write for a source. Nobody else can.
const OURS: [&str; 2] = ["rowcast.revoke", "rowcast.reload"];

/// Why a row can't be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(
        "it has no room (a column of the room's template is null, empty, gone, or longer than 500 bytes)"
    )]
    NoRoom,
    #[error("its room is of the kind rowcast:, which is the servers' own")]
    Reserved,
    #[error(transparent)]
    Unreadable(#[from] sqlx::Error),
}

/// Reads the columns of one row, but for the trace, which whoever broadcasts adds.
pub(super) fn event(id: i64, row: &PgRow) -> Result<Event, Unusable> {
    let room: Option<String> = row.try_get("room")?;
    let room: Room = room.as_deref().ok_or(Unusable::NoRoom)?.into();
    if room.is_reserved() && !source(row).is_some_and(|source| OURS.contains(&&*source)) {
        return Err(Unusable::Reserved);
    }
    let name: String = row.try_get("event")?;
    let data: String = row.try_get("data")?;
    let age: f64 = row.try_get("age")?;
    Ok(Event {
        id,
        xid: row.try_get::<i64, _>("xid")?.cast_unsigned(),
        room,
        name: name.into(),
        payload: RawValue::from_string(data).map_err(|e| sqlx::Error::Decode(e.into()))?,
        at_us: row.try_get("at_us")?,
        age: Duration::try_from_secs_f64(age).unwrap_or_default(),
        traceparent: None,
    })
}

/// The attached table that the event came from, if it came from one.
pub(super) fn source(row: &PgRow) -> Option<String> {
    row.try_get("source").ok().flatten()
}
