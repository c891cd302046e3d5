//! A subscriber's stay in one room.

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
    /// Whether the subscriber was to reload the room after it joined.
    pub(super) is_reloaded: bool,
}

impl Membership {
    /// Of a subscriber that has had everything up to here.
    pub(crate) fn new(room: Room, at: Arc<Offset>) -> Self {
        Self {
            room,
            at,
            must_be_after: None,
            has_repeated: false,
            is_reloaded: false,
        }
    }
}
