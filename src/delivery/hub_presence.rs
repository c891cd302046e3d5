//! Presence, as the hub has it: who enters and leaves is counted, and who watches is passed on.
//!
//! Does nothing at all unless it was told to. Relies on the hub's lock, under which it is called: what is counted is what is in the rooms.

use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::subscriber::{DeliveryState, Subscriber};
use crate::event::Room;
use crate::presence::{LocalPresence, Subject};

/// What the hub has of presence, where `ROWCAST_PRESENCE` is on.
#[derive(Default)]
pub(crate) struct HubPresence {
    on: OnceLock<On>,
}

/// A subscriber, and a room that it watches or does no more.
pub(super) type Watch = (Arc<Subscriber>, Room);

struct On {
    local: Arc<LocalPresence>,
    watches: mpsc::UnboundedSender<Watch>,
}

impl HubPresence {
    /// From here on it is kept. Returns who is to be told of which room.
    pub(super) fn keep(&self, local: Arc<LocalPresence>) -> mpsc::UnboundedReceiver<Watch> {
        let (watches, watched) = mpsc::unbounded_channel();
        // It is set once.
        let _ = self.on.set(On { local, watches });
        watched
    }

    /// Whether it is kept who is in which room.
    pub(crate) fn is_kept(&self) -> bool {
        self.on.get().is_some()
    }

    /// A subscriber that watches a room is sent who is there, and what changes; one that does no more is forgotten.
    pub(crate) fn tell(&self, subscriber: &Arc<Subscriber>, room: &Room) {
        if let Some(on) = self.on.get() {
            // Nobody listens only when the server is ending.
            let _ = on.watches.send((subscriber.clone(), room.clone()));
        }
    }

    /// A subscriber has entered a room. Called under the hub's lock, as the next one.
    pub(super) fn enter(&self, subscriber: &Subscriber, room: &Room) {
        let subject = self.on.get().and_then(|_| subscriber.presence_subject());
        if let (Some(on), Some(subject)) = (self.on.get(), subject) {
            on.local.enter(room, &subject);
        }
    }

    /// A subscriber that was in a room is in it no more.
    pub(super) fn leave(&self, subscriber: &Subscriber, room: &Room) {
        let subject = self.on.get().and_then(|_| subscriber.presence_subject());
        if let (Some(on), Some(subject)) = (self.on.get(), subject) {
            on.local.leave(room, &subject);
        }
    }
}

impl DeliveryState {
    /// The same, of one who counts for a subject.
    pub(crate) fn counting_for(mut self, subject: Option<Subject>) -> Self {
        self.subject = subject;
        self
    }
}

impl Subscriber {
    /// Whom it counts for among those who are in a room, where that is kept.
    pub(crate) fn presence_subject(&self) -> Option<Subject> {
        self.state().subject.clone()
    }
}
