//! What is stored of a connected client in its resume session: its rooms, and how far it was served.

use std::sync::Arc;

use crate::db::{SessionProgress, StoredSession};
use crate::delivery::{Hub, Progress, Subscriber};
use crate::offset::Offset;

/// How far a client was served, as its resume session has it.
pub(crate) fn session_progress(progress: &Progress) -> SessionProgress {
    let pack = |offset: &Arc<Offset>| offset.pack();
    SessionProgress {
        last_sent_offset: progress
            .last_sent_offset
            .as_ref()
            .map(pack)
            .unwrap_or_default(),
        complete_to_offset: progress.complete_to_offset.pack(),
    }
}

/// Stands after the offsets of a room whose client is told who else is in it.
const WATCHES_PRESENCE: &str = "presence";

/// What is stored of a room: its offsets, and whether the client is told who else is in it.
pub(super) fn split_stored(stored: &[String]) -> (&[String], bool) {
    match stored.split_last() {
        Some((last, offsets)) if last == WATCHES_PRESENCE => (offsets, true),
        _ => (stored, false),
    }
}

/// What is to be stored of a subscriber: the rooms that it means to stay in, and how far it was served. `None` once it is gone.
pub(crate) fn stored_session(hub: &Hub, subscriber: &Subscriber) -> Option<StoredSession> {
    let (rooms, progress) = hub.rooms_and_progress(subscriber)?;
    let rooms = rooms
        .iter()
        .filter(|joined| !joined.is_leaving)
        .map(|joined| {
            let offsets = std::iter::once(&joined.at).chain(&joined.must_be_after);
            let watches = joined.watches_presence.then(|| WATCHES_PRESENCE.to_owned());
            let offsets = offsets.map(|offset| offset.pack()).chain(watches).collect();
            (joined.room.as_str().to_owned(), offsets)
        });
    Some(StoredSession {
        rooms: rooms.collect(),
        progress: session_progress(&progress),
    })
}
