//! One subscriber: its rooms, and what it was sent of them.
//!
//! A subscriber is live, and gets what is broadcast; or it is behind, and gets what it misses out of the outbox, at its own
//! pace, until it has reached the broadcast. It is behind when it resumes, and when it reads so slowly that its transport
//! takes no more.
//! Guarantees: `complete_to_offset` is exact at every moment. Of the subscriber's rooms it was sent everything up to there,
//! and nothing else but the replay of a room that it is joining.

mod live;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::access::Access;
use super::broadcast_event::BroadcastEvent;
use super::membership::Membership;
use super::subscriber_transport::SubscriberTransport;
use crate::event::Room;
use crate::offset::{Offset, Snapshot};
use crate::presence::Subject;

/// One connected client as delivery sees it.
pub(crate) struct Subscriber {
    /// Our own number for the connection: for the log.
    pub id: u64,
    /// The way to it.
    pub transport: Arc<dyn SubscriberTransport>,
    state: Mutex<DeliveryState>,
}

impl Subscriber {
    /// A subscriber that is in no room yet.
    pub(crate) fn new(
        id: u64,
        transport: Arc<dyn SubscriberTransport>,
        state: DeliveryState,
    ) -> Self {
        Self {
            id,
            transport,
            state: Mutex::new(state),
        }
    }

    /// Its rooms and what it was sent. Locked after the hub's state, never before it (see [`super`]).
    pub(super) fn state(&self) -> MutexGuard<'_, DeliveryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is in a room.
    pub(crate) fn is_in(&self, room: &Room) -> bool {
        self.state().membership(room).is_some()
    }

    /// A join by [`Hub::join_unproven`](super::Hub::join_unproven) is refused after all.
    pub(crate) fn refuse_unproven_join(&self) {
        self.state().reload_is_told();
    }
}

/// The rooms of a subscriber, and what it was sent of them.
pub(crate) struct DeliveryState {
    pub(super) rooms: Vec<Membership>,
    /// Everything up to here was sent.
    pub(super) complete_to_offset: Arc<Offset>,
    /// The offset of the last event that was sent: what a stock client comes back with if it has got everything. `None`
    /// after it was told to reload, until the next event.
    pub(super) last_sent_offset: Option<Arc<Offset>>,
    /// How often something was left out of which it was not told yet: by a join whose answer says so, or by an event that
    /// tells it to reload.
    untold_reloads: u32,
    /// How often rooms were to be reloaded.
    pub(super) reloads: u32,
    mode: Mode,
    generation: ReplayGeneration,
    pub(super) access: Access,
    /// Whom it counts for among those who are in a room.
    pub(super) subject: Option<Subject>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Sent everything up to the broadcast's event of this number.
    Live(u64),
    Behind,
}

/// One time of being behind. A replay of an earlier time has no business any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplayGeneration(u32);

impl DeliveryState {
    /// Of a client that has missed nothing, because it is in no room yet. The broadcast is at `position`, its event
    /// `number`.
    pub(crate) fn live(position: Arc<Offset>, number: u64) -> Self {
        Self::new(position, Mode::Live(number))
    }

    /// Of a client that resumes, and has everything up to `from`.
    pub(crate) fn behind(from: Arc<Offset>) -> Self {
        Self::new(from, Mode::Behind)
    }

    fn new(offset: Arc<Offset>, mode: Mode) -> Self {
        Self {
            rooms: Vec::new(),
            last_sent_offset: Some(offset.clone()),
            complete_to_offset: offset,
            untold_reloads: 0,
            reloads: 0,
            mode,
            generation: ReplayGeneration::default(),
            access: Access::default(),
            subject: None,
        }
    }

    /// Everything up to here was sent.
    pub(crate) fn complete_to_offset(&self) -> &Arc<Offset> {
        &self.complete_to_offset
    }

    /// Which replay is to bring it back, while it is behind.
    pub(crate) fn replay_generation(&self) -> Option<ReplayGeneration> {
        (self.mode == Mode::Behind).then_some(self.generation)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.mode == Mode::Behind
    }

    pub(super) fn membership(&self, room: &Room) -> Option<&Membership> {
        self.rooms.iter().find(|joined| joined.room == *room)
    }

    /// Whether it has had an event that the broadcast comes to again.
    pub(super) fn has_had(&self, event: &BroadcastEvent) -> bool {
        event.repeated
            && if let Some(reload) = &event.reload {
                let mut rooms = self.rooms_to_reload(&event.event, reload, true);
                rooms.next().is_none()
            } else {
                self.membership(&event.event.room)
                    .is_some_and(|joined| joined.has_repeated)
            }
    }

    /// Whether an offset can't say what the subscriber has had: some of the events that come again after a crash, and lie
    /// beyond the offset, are among that; or something is missing that it was not told of yet.
    pub(super) fn is_inexact(&self, offset: &Offset, repeated_to: &Snapshot) -> bool {
        let mut rooms = self.rooms.iter();
        self.has_untold_reload()
            || rooms.any(|joined| joined.has_repeated) && !offset.seen.floor().covers(repeated_to)
    }

    /// Whether it is in a room without something that it was not told of yet. A client that comes back with the offset of an
    /// event from before the telling may never have been told.
    pub(super) fn has_untold_reload(&self) -> bool {
        self.untold_reloads > 0
    }

    /// It is, or is about to be, in a room without something, and is to be told so.
    pub(super) fn await_reload(&mut self) {
        self.untold_reloads += 1;
        self.last_sent_offset = None;
    }

    /// It was told so, or need not be.
    pub(super) fn reload_is_told(&mut self) {
        self.untold_reloads -= 1;
    }

    /// Whether the broadcast is still to send it the event of this number, if that is of one of its rooms.
    pub(super) fn awaits(&self, number: u64) -> bool {
        matches!(self.mode, Mode::Live(through) if number > through)
    }

    /// It had everything up to `before`, and gets nothing of the broadcast any more.
    fn fall_behind(&mut self, before: &Arc<Offset>) {
        // After a crash the broadcast goes on from before what the subscriber has.
        if !self.complete_to_offset.seen.reaches(&before.seen) {
            self.complete_to_offset = before.clone();
        }
        self.mode = Mode::Behind;
        self.generation.0 = self.generation.0.wrapping_add(1);
    }

    /// A live one, which has had everything up to `here`, is behind from here on. `None`: it was behind already.
    pub(super) fn fall_behind_at(&mut self, here: &Arc<Offset>) -> Option<ReplayGeneration> {
        if self.is_behind() {
            return None;
        }
        self.fall_behind(here);
        self.replay_generation()
    }

    /// Whether it has more than the broadcast: a crash has set that back, or it came from another server.
    pub(super) fn is_ahead_of(&self, position: &Offset) -> bool {
        !position.seen.reaches(&self.complete_to_offset.seen)
    }

    /// A live one has everything up to here. After a crash the broadcast goes on from before what it may have.
    pub(super) fn stay_live(&mut self, position: &Arc<Offset>, number: u64) {
        if position.seen.reaches(&self.complete_to_offset.seen) {
            self.complete_to_offset = position.clone();
        }
        self.mode = Mode::Live(number);
    }

    /// It has everything up to here, and gets what is broadcast from here on.
    pub(super) fn become_live(&mut self, position: Arc<Offset>, number: u64) {
        self.complete_to_offset = position;
        self.mode = Mode::Live(number);
    }

    /// It is told to reload rooms, as if it had joined them here. Names those that it is in.
    pub(super) fn mark_reloaded(
        &mut self,
        here: &Arc<Offset>,
        which: impl Fn(&Room) -> bool,
    ) -> Vec<Room> {
        let mut named = Vec::new();
        for joined in self.rooms.iter_mut().filter(|joined| which(&joined.room)) {
            (joined.at, joined.must_be_after) = (here.clone(), Some(here.clone()));
            joined.last_reload = self.reloads + 1;
            named.push(joined.room.clone());
        }
        if !named.is_empty() {
            self.last_sent_offset = None;
            self.reloads += 1;
        }
        named
    }

    /// The same, and it is to be told so, by [`Hub::send_resyncs`](super::Hub::send_resyncs).
    pub(super) fn name_for_reload(
        &mut self,
        here: &Arc<Offset>,
        which: impl Fn(&Room) -> bool,
    ) -> Vec<Room> {
        let named = self.mark_reloaded(here, which);
        if !named.is_empty() {
            self.await_reload();
        }
        named
    }
}

#[cfg(test)]
mod tests;
