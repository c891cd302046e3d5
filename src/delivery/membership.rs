//! What a resume session keeps of a subscriber: its stay in each room, and how far it was served.

use std::sync::Arc;

use crate::event::Room;
use crate::offset::Offset;

/// A room that a subscriber is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The room.
    pub room: Room,
    /// What the subscriber had of the room when it was in.
    pub at: Arc<Offset>,
    /// Set where something of the room was replayed on the way in, or the subscriber was told to reload: where the broadcast
    /// was then. A client that comes back has got that for certain only if its own offset is later than this one.
    pub must_be_after: Option<Arc<Offset>>,
    /// Whether events that the broadcast comes to again after a crash are not to be sent: the subscriber has had them, or was
    /// told to reload the room.
    pub(super) has_repeated: bool,
    /// Which of the subscriber's reloads was the last one of this room since it joined; 0 for none.
    pub(super) last_reload: u32,
    /// Whether the client is told who else is in the room.
    pub watches_presence: bool,
    /// Whether the client has asked to leave. It is served until its resume session is stored without the room: whatever becomes of the
    /// store, and of the connection, it has missed nothing of a room that it comes back to.
    pub is_leaving: bool,
}

impl Membership {
    /// Of a subscriber that has had everything up to here.
    pub(crate) fn new(room: Room, at: Arc<Offset>) -> Self {
        Self {
            room,
            at,
            must_be_after: None,
            has_repeated: false,
            last_reload: 0,
            watches_presence: false,
            is_leaving: false,
        }
    }

    /// Whether someone who has this has missed nothing of the room from before it was joined, or was last to be reloaded.
    pub(super) fn is_within(&self, have: &Offset) -> bool {
        let reloaded_at = self.must_be_after.as_ref();
        let reloaded_at = reloaded_at.filter(|_| self.last_reload > 0);
        let mut since = std::iter::once(&self.at).chain(reloaded_at);
        since.all(|at| have.epoch == at.epoch && have.seen.reaches(&at.seen))
    }
}

/// How far a subscriber was served, for its resume session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The offset of the last event that it was sent. `None` after it was told to reload, until the next event.
    pub last_sent_offset: Option<Arc<Offset>>,
    /// Up to where it has missed nothing if it has got that event.
    pub complete_to_offset: Arc<Offset>,
}
