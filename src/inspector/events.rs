//! What is broadcast, as it is: the events since the last look, out of the memory that short replays are served from; and the payload of
//! one event, out of the outbox, for whoever asks for it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Inspector, answer};
use crate::db::{cause_of, one_event};
use crate::http::query::Query;
use crate::http_error::Error;

/// Events that are looked through at a time.
const LOOKED: usize = 2_000;
/// Events of one answer, the newest.
const SHOWN: usize = 200;

/// `GET /api/events?after=&room=&name=`: those that were broadcast after the event of the number `after`; without it, the last ones.
pub(super) async fn list(
    State(inspector): State<Arc<Inspector>>,
    uri: Uri,
) -> Result<Response, Error> {
    let query = Query::parse(&uri, &["after", "room", "name"])?;
    let after = match query.text("after") {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            Error::BadRequest("after must be a number that an answer gave".to_owned())
        })?),
    };
    let wanted = |name| query.text(name).unwrap_or_default().to_lowercase();
    let (room, name) = (wanted("room"), wanted("name"));
    let seen = inspector.parts.sockets.recent(after.unwrap_or(0), LOOKED);
    // A number beyond the last one is of the server's life before this one.
    let between = after.map_or(0, |after| seen.number.saturating_sub(after));
    let is_whole = between <= seen.events.len() as u64;
    let mut found: Vec<Value> = seen
        .events
        .iter()
        .rev()
        .filter(|(_, event)| !event.room.is_reserved())
        .filter(|(_, event)| event.room.as_str().to_lowercase().contains(&room))
        .filter(|(_, event)| event.name.to_lowercase().contains(&name))
        .take(SHOWN + 1)
        .map(|(number, event)| {
            json!({
                "number": number,
                "id": event.id.to_string(),
                "room": event.room.as_str(),
                "event": &*event.name,
                "bytes": event.payload.get().len(),
                "atMs": event.at_us / 1000,
            })
        })
        .collect();
    let is_cut = found.len() > SHOWN;
    found.truncate(SHOWN);
    Ok(answer(&json!({
        "number": seen.number,
        "hasGap": after.is_some() && (!is_whole || is_cut),
        "events": found,
    })))
}

/// `GET /api/events/{id}`
pub(super) async fn one(
    State(inspector): State<Arc<Inspector>>,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let gone = || Error::NothingThere("this event is not kept any more".to_owned());
    let id = id.parse().map_err(|_| gone())?;
    let found = one_event(&inspector.parts.pool, id).await;
    let found = found.map_err(|error| {
        tracing::debug!("an event can't be looked up: {}", cause_of(&error));
        Error::Database
    })?;
    let mut event = found.ok_or_else(gone)?;
    let data = event
        .data
        .take()
        .and_then(|data| RawValue::from_string(data).ok());
    let mut body = json!(event);
    // As it was written: what it holds may be more exact than numbers here are.
    body["data"] = data.map_or(Value::Null, |data| data.get().into());
    Ok(answer(&body))
}
