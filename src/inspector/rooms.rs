//! The rooms that clients are in, and one room: who is in it, and what it got last.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::sockets::line;
use super::{Inspector, PAGE_LINES, answer};
use crate::db::{cause_of, last_events};
use crate::event::Room;
use crate::http::query::Query;
use crate::http_error::Error;
use crate::socketio::inspection::Crowd;

/// Events of one room that are shown.
const EVENTS_SHOWN: i64 = 20;

/// `GET /api/rooms?search=&from=0`
pub(super) async fn list(
    State(inspector): State<Arc<Inspector>>,
    uri: Uri,
) -> Result<Response, Error> {
    let query = Query::parse(&uri, &["search", "from"])?;
    let from = usize::from(query.number("from", 0, 0..=u16::MAX)?);
    let search = query.text("search").unwrap_or_default().to_lowercase();
    let crowd = inspector.crowd().await;
    let searched = crowd.clone();
    // Of many rooms this takes as long as no other task should wait.
    let found = spawn_blocking(move || find(&searched, &search, from)).await;
    let (found, rooms) = found.unwrap_or_default();
    Ok(answer(&json!({
        "total": crowd.rooms.len(),
        "isSample": !crowd.has_all_rooms || crowd.sockets.len() < crowd.total,
        "found": found,
        "from": from,
        "rooms": rooms,
    })))
}

/// How many rooms have this in their names, and a page of them.
fn find(crowd: &Crowd, search: &str, from: usize) -> (usize, Vec<Value>) {
    let rooms = crowd.rooms.iter();
    let found: Vec<_> = rooms
        .filter(|(room, _)| search.is_empty() || room.as_str().to_lowercase().contains(search))
        .collect();
    let page = found.iter().skip(from).take(PAGE_LINES);
    let lines = page.map(|(room, members)| json!({ "room": room.as_str(), "members": members }));
    (found.len(), lines.collect())
}

/// `GET /api/room?room=&from=0`. A room in which nobody is has its last events all the same.
pub(super) async fn one(
    State(inspector): State<Arc<Inspector>>,
    uri: Uri,
) -> Result<Response, Error> {
    let query = Query::parse(&uri, &["room", "from"])?;
    let from = usize::from(query.number("from", 0, 0..=u16::MAX)?);
    let room = Room::named(query.text("room").unwrap_or_default())
        .map_err(|error| Error::BadRequest(error.to_string()))?;
    let seen = inspector.parts.sockets.members(&room, from, PAGE_LINES);
    let members: Vec<Value> = seen.shown.iter().map(|socket| line(socket, &[])).collect();
    let events = last_events(&inspector.parts.pool, &room, EVENTS_SHOWN).await;
    let (events, unknown) = match events {
        Ok(events) => (events, None),
        Err(error) => (Vec::new(), Some(cause_of(&error))),
    };
    Ok(answer(&json!({
        "room": room.as_str(),
        "found": seen.members,
        "from": from,
        "members": members,
        "events": events,
        "eventsUnknown": unknown,
    })))
}
