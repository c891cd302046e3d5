//! The clients, a page at a time: found, sorted, and one of them with the names of its rooms.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{Inspector, PAGE_LINES, answer};
use crate::event::Room;
use crate::http::query::Query;
use crate::http_error::Error;
use crate::metrics::Transport;
use crate::socketio::inspection::{Crowd, SocketView};

/// Names of rooms in a line of the list.
const ROOMS_SHOWN: usize = 3;

/// `GET /api/sockets?search=&only=&sort=&from=0`
pub(super) async fn list(
    State(inspector): State<Arc<Inspector>>,
    uri: Uri,
) -> Result<Response, Error> {
    let query = Query::parse(&uri, &["search", "only", "sort", "from"])?;
    let from = usize::from(query.number("from", 0, 0..=u16::MAX)?);
    let wanted = Wanted {
        search: query.text("search").unwrap_or_default().to_lowercase(),
        only: one_of(&query, "only", &ONLYS)?,
        sort: one_of(&query, "sort", &SORTS)?,
        from,
    };
    let crowd = inspector.crowd().await;
    let searched = crowd.clone();
    // Of many sockets this takes as long as no other task should wait.
    let found = spawn_blocking(move || wanted.find(&searched)).await;
    let (found, page) = found.unwrap_or_default();
    let lines: Vec<Value> = page.iter().map(|socket| inspector.line(socket)).collect();
    Ok(answer(&json!({
        "total": crowd.total,
        "looked": crowd.sockets.len(),
        "found": found,
        "from": from,
        "sockets": lines,
    })))
}

/// Which sockets are asked for.
struct Wanted {
    search: String,
    only: &'static str,
    sort: &'static str,
    from: usize,
}

/// The first is the default.
const ONLYS: [&str; 4] = ["all", "behind", "waiting", "polling"];
const SORTS: [&str; 4] = ["newest", "oldest", "backlog", "rooms"];

impl Wanted {
    /// How many there are, and a page of them.
    fn find(&self, crowd: &Crowd) -> (usize, Vec<SocketView>) {
        let mut found: Vec<&SocketView> = crowd
            .sockets
            .iter()
            .filter(|socket| match self.only {
                "behind" => socket.is_behind,
                "waiting" => socket.waiting_bytes > 0,
                "polling" => socket.transport == Transport::Polling,
                _ => true,
            })
            .filter(|socket| self.search.is_empty() || is_meant(socket, &self.search))
            .collect();
        // Those that come first are the latest ones; a sort that keeps their order keeps that.
        match self.sort {
            "oldest" => found.reverse(),
            "backlog" => found.sort_by_key(|socket| Reverse(socket.waiting_bytes)),
            "rooms" => found.sort_by_key(|socket| Reverse(socket.rooms)),
            _ => {}
        }
        let page = found.iter().skip(self.from).take(PAGE_LINES);
        (found.len(), page.map(|socket| (*socket).clone()).collect())
    }
}

/// A parameter that has a few values, of which the first is the default.
fn one_of(query: &Query, name: &str, values: &[&'static str]) -> Result<&'static str, Error> {
    let Some(text) = query.text(name) else {
        return Ok(values[0]);
    };
    let known = values.iter().find(|value| **value == text);
    known
        .copied()
        .ok_or_else(|| Error::BadRequest(format!("{name} must be one of {}", values.join(", "))))
}

/// `GET /api/sockets/{socket}`
pub(super) async fn one(
    State(inspector): State<Arc<Inspector>>,
    Path(socket): Path<String>,
) -> Result<Response, Error> {
    let found = socket
        .parse()
        .ok()
        .and_then(|id| inspector.parts.sockets.socket(id));
    let (socket, rooms) =
        found.ok_or_else(|| Error::NothingThere("this socket has gone".to_owned()))?;
    Ok(answer(&line(&socket, &rooms)))
}

impl Inspector {
    /// A line of the list: the names of its first rooms are looked up now, for the few that are shown.
    fn line(&self, socket: &SocketView) -> Value {
        let rooms = self.parts.sockets.socket(socket.id);
        let mut rooms = rooms.map_or_else(Vec::new, |(_, rooms)| rooms);
        rooms.truncate(ROOMS_SHOWN);
        line(socket, &rooms)
    }
}

/// A client as the page has it.
pub(super) fn line(socket: &SocketView, rooms: &[Room]) -> Value {
    let transport = match socket.transport {
        Transport::Websocket => "websocket",
        Transport::Polling => "polling",
    };
    let names: Vec<_> = rooms.iter().map(Room::as_str).collect();
    json!({
        "socket": socket.id,
        "identity": identity(&socket.identity),
        "transport": transport,
        "waitingBytes": socket.waiting_bytes,
        "state": if socket.is_behind { "behind" } else { "live" },
        "rooms": socket.rooms,
        "roomNames": names,
        "ageMs": u64::try_from(socket.age.as_millis()).unwrap_or(u64::MAX),
        "address": socket.address.map(|address| match address {
            std::net::IpAddr::V6(network) => format!("{network}/64"),
            address @ std::net::IpAddr::V4(_) => address.to_string(),
        }),
    })
}

/// Issuer and subject of a token; nothing for whoever has none.
fn identity(name: &str) -> Option<Value> {
    let (issuer, subject): (Option<String>, String) = serde_json::from_str(name).ok()?;
    Some(json!({ "issuer": issuer, "subject": subject }))
}

/// Whether a client is meant by what was typed: its number, its identity, or its address. A `#` means the number alone.
fn is_meant(socket: &SocketView, search: &str) -> bool {
    let number = socket.id.to_string();
    if let Some(wanted) = search.strip_prefix('#') {
        return number == wanted;
    }
    number == search
        || socket.identity.to_lowercase().contains(search)
        || socket
            .address
            .is_some_and(|address| address.to_string().starts_with(search))
}
