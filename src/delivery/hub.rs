//! The subscribers, the rooms that they are in, and where the broadcast is.
//!
//! Owns the one lock that is the gate between a join, a replay and the broadcast: whoever is in a room and live at some
//! position gets every later event of the room. The lock is held for a moment only; sending to many happens outside it.
//! What is done under it stands in `advance` and `set_back` (broadcast and replays), `rooms` (joins and leaves), `revoke` and `typing`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use super::hub_presence::HubPresence;
use super::membership::{Membership, Progress};
use super::outgoing::Outgoing;
use super::position::BroadcastPosition;
use super::subscriber::{ReplayGeneration, Subscriber};
use super::subscriber_transport::SendOutcome;
use super::typers::Typers;
use crate::event::Room;
use crate::metrics::Metrics;
use crate::revocations::Revocations;

/// A room's members, shared with a broadcast that is under way.
pub(super) type Members = Arc<Vec<Arc<Subscriber>>>;

/// Who is in which room, and where the broadcast is.
pub(crate) struct Hub {
    state: Mutex<HubState>,
    typing_order: Mutex<()>,
    /// Sent to when the broadcast has come to the end of a read.
    pub(super) moved: watch::Sender<()>,
    /// Makes the reader read.
    pub(super) reader_wake: watch::Sender<()>,
    behind: mpsc::UnboundedSender<(Arc<Subscriber>, ReplayGeneration)>,
    pub(super) max_rooms: usize,
    /// Whom nothing is given any more.
    pub revocations: Arc<Revocations>,
    /// Who is in which room, for others to know.
    pub presence: HubPresence,
    /// What delivery counts.
    pub metrics: Metrics,
}

#[derive(Default)]
pub(super) struct HubState {
    pub(super) subscribers: HashMap<u64, Arc<Subscriber>>,
    /// Those of them that have a token, by whom it speaks for.
    pub(super) by_subject: HashMap<u64, Vec<Arc<Subscriber>>>,
    pub(super) rooms: HashMap<Room, RoomState>,
    /// The rooms in which somebody types, and perhaps some where nobody does any more: looked at for what has expired.
    pub(super) typing_rooms: HashSet<Room>,
    /// `None` until the reader has found where the database is.
    pub(super) position: Option<BroadcastPosition>,
}

#[derive(Default)]
pub(super) struct RoomState {
    pub(super) members: Members,
    pub(super) typers: Typers,
}

/// The subscribers that are behind, as they come to be: for [`super::Replay::run`].
pub(crate) struct BehindReceiver(
    pub(super) mpsc::UnboundedReceiver<(Arc<Subscriber>, ReplayGeneration)>,
);

impl Hub {
    /// An empty hub, and the subscribers that will be behind. One may be in `max_rooms` rooms; `reader_wake` makes the reader
    /// read.
    pub(crate) fn new(
        max_rooms: usize,
        reader_wake: watch::Sender<()>,
        revocations: Arc<Revocations>,
        metrics: Metrics,
    ) -> (Arc<Self>, BehindReceiver) {
        let (behind, receiver) = mpsc::unbounded_channel();
        let hub = Self {
            state: Mutex::default(),
            typing_order: Mutex::default(),
            moved: watch::Sender::default(),
            reader_wake,
            behind,
            max_rooms,
            revocations,
            presence: HubPresence::default(),
            metrics,
        };
        (Arc::new(hub), BehindReceiver(receiver))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn typing_order(&self) -> MutexGuard<'_, ()> {
        self.typing_order
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connected subscriber in. False: what its token proved was revoked meanwhile.
    pub(crate) fn add(&self, subscriber: &Arc<Subscriber>) -> bool {
        let mut state = self.state();
        let bearer = subscriber.state().access.bearer;
        if let Some(bearer) = bearer {
            if self.revocations.of(&bearer).is_some() {
                return false;
            }
            let theirs = state.by_subject.entry(bearer.subject()).or_default();
            theirs.push(subscriber.clone());
        }
        state.subscribers.insert(subscriber.id, subscriber.clone());
        true
    }

    /// Forgets a subscriber and takes it out of its rooms. Says how far it was served; `None` where it is not known.
    pub(crate) fn remove(&self, subscriber: &Subscriber) -> Option<Progress> {
        let _order = self.typing_order();
        let (progress, changes) = {
            let mut state = self.state();
            let progress = state.progress(subscriber)?;
            state.subscribers.remove(&subscriber.id);
            state.forget_subject_of(subscriber);
            let rooms = std::mem::take(&mut subscriber.state().rooms);
            let changes: Vec<_> = rooms
                .iter()
                .map(|joined| {
                    self.presence.leave(subscriber, &joined.room);
                    state.remove_member(&joined.room, subscriber)
                })
                .collect();
            (progress, changes)
        };
        self.relay_typing(changes);
        Some(progress)
    }

    /// How far a subscriber was served; `None` once it is removed.
    pub(crate) fn progress(&self, subscriber: &Subscriber) -> Option<Progress> {
        self.state().progress(subscriber)
    }

    /// The rooms that a subscriber is in, and how far it was served, at one moment; `None` once it is removed.
    pub(crate) fn rooms_and_progress(
        &self,
        subscriber: &Subscriber,
    ) -> Option<(Vec<Membership>, Progress)> {
        let state = self.state();
        let progress = state.progress(subscriber)?;
        let rooms = subscriber.state().rooms.clone();
        Some((rooms, progress))
    }

    /// Sends an event that is not stored to one subscriber; one that has no room for it is cut.
    pub(crate) fn send(&self, subscriber: &Subscriber, event: &Outgoing) {
        if subscriber.transport.send(event) == SendOutcome::Full {
            self.cut_slow_consumer(subscriber);
        }
    }

    /// Tells a subscriber to reload the rooms that were named for it ([`DeliveryState::name_for_reload`]).
    ///
    /// [`DeliveryState::name_for_reload`]: super::DeliveryState::name_for_reload
    pub(super) fn send_resyncs(&self, subscriber: &Subscriber, rooms: &[Room], reason: &str) {
        for room in rooms {
            self.send(subscriber, &Outgoing::resync(room, reason));
        }
        if !rooms.is_empty() {
            subscriber.state().reload_is_told();
        }
    }

    /// Ends a subscriber that reads too slowly.
    pub(super) fn cut_slow_consumer(&self, subscriber: &Subscriber) {
        if subscriber.transport.close() {
            self.metrics.slow_consumers.inc();
            tracing::info!(
                connection = subscriber.id,
                "a client that reads too slowly was disconnected"
            );
        }
    }

    /// A subscriber is behind: a replay is to bring it back. Nothing happens to one that is live.
    pub(crate) fn start_replay(&self, subscriber: &Arc<Subscriber>) {
        let generation = subscriber.state().replay_generation();
        if let Some(generation) = generation {
            self.request_replay(subscriber, generation);
        }
    }

    pub(super) fn request_replay(
        &self,
        subscriber: &Arc<Subscriber>,
        generation: ReplayGeneration,
    ) {
        // Nobody listens only when the server is ending.
        drop(self.behind.send((subscriber.clone(), generation)));
    }
}

impl HubState {
    fn progress(&self, subscriber: &Subscriber) -> Option<Progress> {
        self.subscribers.get(&subscriber.id)?;
        let subscriber = subscriber.state();
        let complete_to = match &self.position {
            Some(position) if !subscriber.is_behind() => match position.in_flight().find(|event| {
                subscriber.awaits(event.number)
                    && subscriber.is_concerned_by(event)
                    && !subscriber.has_had(event)
            }) {
                // That event is on its way to the room's members, and perhaps not to this one any more. One that it had before a crash is
                // not missing: an offset from before it would bring it what came after that again.
                Some(next) => &next.before,
                // After a crash the broadcast goes on from before what it may have.
                _ if !position
                    .offset
                    .seen
                    .reaches(&subscriber.complete_to_offset.seen) =>
                {
                    &subscriber.complete_to_offset
                }
                _ => &position.offset,
            },
            _ => &subscriber.complete_to_offset,
        };
        Some(Progress {
            last_sent_offset: subscriber.last_sent_offset.clone(),
            complete_to_offset: complete_to.clone(),
        })
    }

    fn forget_subject_of(&mut self, subscriber: &Subscriber) {
        let Some(bearer) = subscriber.state().access.bearer else {
            return;
        };
        if let Some(theirs) = self.by_subject.get_mut(&bearer.subject()) {
            theirs.retain(|other| other.id != subscriber.id);
            if theirs.is_empty() {
                self.by_subject.remove(&bearer.subject());
            }
        }
    }

    pub(super) fn forget_if_empty(&mut self, room: &Room) {
        if self
            .rooms
            .get(room)
            .is_some_and(|entry| entry.members.is_empty() && entry.typers.is_empty())
        {
            self.rooms.remove(room);
        }
    }
}

#[cfg(test)]
mod tests;
