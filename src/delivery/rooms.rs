//! Joins, leaves, and the rooms of a subscriber that resumes.

use std::sync::Arc;

use super::hub::{Hub, HubState, Members, RoomState};
use super::membership::Membership;
use super::position::{BroadcastPosition, ReplayAction, ReplayStep};
use super::reload::is_of;
use super::subscriber::Subscriber;
use super::typers::{Typer, TypingChange};
use crate::event::{Reload, Room};
use crate::metrics::Limit;
use crate::offset::Offset;

/// Why a join is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// The subscriber is in as many rooms as it may be, which is this many.
    TooManyRooms(usize),
    /// The reader has not found yet where the database is.
    NotStarted,
    /// The broadcast did not come in time to where the subscriber is already. Ask again.
    StillWaiting,
    /// What allowed it was revoked.
    Revoked,
}

/// How a join without a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// The subscriber is in the room.
    Entered,
    /// It was already.
    Already,
    /// It was removed meanwhile.
    Gone,
    /// Not yet: the broadcast has to come to where the subscriber is already. Ask again.
    Wait,
}

/// How far a join with an offset has come.
#[derive(Debug)]
pub(super) enum JoinProgress {
    /// The subscriber is in the room, and nothing is missing.
    Entered,
    /// It was in the room already.
    Already { missed_nothing: bool },
    /// It was removed meanwhile.
    Gone,
    /// It is behind, and has to reach the broadcast first.
    Behind,
    /// What it has seen of the room is ahead of the broadcast.
    WaitForBroadcast,
    /// The broadcast has to come to where the subscriber is already, or comes again to events from before a crash.
    Wait,
    /// What it has seen can't be compared with what there is.
    Lost,
    /// These events of the room are missing.
    Replay(ReplayStep),
}

impl Hub {
    /// Enters a room: every later event of it goes to the subscriber.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub(crate) fn join(
        &self,
        subscriber: &Arc<Subscriber>,
        room: &Room,
    ) -> Result<Joined, JoinError> {
        self.enter(subscriber, room, false)
    }

    /// The same for one that has missed something which can't be brought, as the answer is to say. Until the answer was given
    /// ([`Subscriber::with_join_offset`]) or the join refused ([`Subscriber::refuse_unproven_join`]), no event that the
    /// subscriber is sent has an offset to come back with: its connection may be lost before it has the answer.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub(crate) fn join_unproven(
        &self,
        subscriber: &Arc<Subscriber>,
        room: &Room,
    ) -> Result<Joined, JoinError> {
        self.enter(subscriber, room, true)
    }

    fn enter(
        &self,
        subscriber: &Arc<Subscriber>,
        room: &Room,
        is_unproven: bool,
    ) -> Result<Joined, JoinError> {
        let _order = self.typing_order();
        let mut state = self.state();
        if !state.subscribers.contains_key(&subscriber.id) {
            return Ok(Joined::Gone);
        }
        if subscriber.is_in(room) {
            if is_unproven {
                subscriber.state().await_reload();
            }
            return Ok(Joined::Already);
        }
        self.check_not_revoked(subscriber, room)?;
        self.check_room_count(subscriber)?;
        let position = state.position.as_ref().ok_or(JoinError::NotStarted)?;
        if position.keeps_waiting(subscriber) {
            return Ok(Joined::Wait);
        }
        self.send_pending(position, subscriber);
        let mut joined = Membership::new(room.clone(), position.offset.clone());
        if is_unproven {
            joined.must_be_after = Some(joined.at.clone());
            subscriber.state().await_reload();
        }
        self.add_member(&mut state, subscriber, joined);
        Ok(Joined::Entered)
    }

    /// Enters a room of which the subscriber has what `have` says, if that is all; else says what is missing. `replayed` is
    /// what it had after the last event that was replayed, if one was.
    pub(super) fn try_join_after(
        &self,
        subscriber: &Arc<Subscriber>,
        room: &Room,
        have: &Offset,
        replayed: Option<&Arc<Offset>>,
    ) -> Result<JoinProgress, JoinError> {
        let _order = self.typing_order();
        let mut state = self.state();
        if !state.subscribers.contains_key(&subscriber.id) {
            return Ok(JoinProgress::Gone);
        }
        if let Some(joined) = subscriber.state().membership(room) {
            return Ok(JoinProgress::Already {
                missed_nothing: joined.is_within(have),
            });
        }
        self.check_not_revoked(subscriber, room)?;
        self.check_room_count(subscriber)?;
        let position = state.position.as_ref().ok_or(JoinError::NotStarted)?;
        if subscriber.state().is_behind() {
            return Ok(JoinProgress::Behind);
        }
        if position.keeps_waiting(subscriber) {
            return Ok(JoinProgress::Wait);
        }
        match position.next_replay_action(have, |event| is_of(&event.event, room)) {
            ReplayAction::Reached => {}
            ReplayAction::WaitForBroadcast => return Ok(JoinProgress::WaitForBroadcast),
            ReplayAction::Lost(_) => return Ok(JoinProgress::Lost),
            ReplayAction::Replay(step) => return Ok(JoinProgress::Replay(step)),
        }
        self.send_pending(position, subscriber);
        let here = position.offset.clone();
        let joined = Membership {
            room: room.clone(),
            at: replayed.unwrap_or(&here).clone(),
            must_be_after: replayed.is_some().then(|| here.clone()),
            has_repeated: false,
            last_reload: 0,
            watches_presence: false,
            is_leaving: false,
        };
        self.add_member(&mut state, subscriber, joined);
        Ok(JoinProgress::Entered)
    }

    fn check_room_count(&self, subscriber: &Subscriber) -> Result<(), JoinError> {
        let state = subscriber.state();
        let stays = state.rooms.iter().filter(|joined| !joined.is_leaving);
        if stays.count() >= self.max_rooms {
            self.metrics.limits(Limit::Rooms);
            return Err(JoinError::TooManyRooms(self.max_rooms));
        }
        Ok(())
    }

    /// Brings a live subscriber to the position. The burst that is being broadcast at this moment may not have come to it:
    /// what is of the subscriber's rooms is sent here, and the broadcast passes the subscriber over.
    fn send_pending(&self, position: &BroadcastPosition, subscriber: &Arc<Subscriber>) {
        let mut state = subscriber.state();
        let pending: Vec<_> = position
            .in_flight()
            .filter(|event| state.awaits(event.number) && state.is_concerned_by(event))
            .map(|event| (event, event.outgoing()))
            .collect();
        if let Some((last, _)) = pending.last() {
            if last.event.room.is_of_reloads() {
                let named = state.take_reload_live(last);
                drop(state);
                return self.send_resyncs(subscriber, &named, Reload::REASON);
            }
            let pending: Vec<_> = pending.iter().map(|(event, sent)| (*event, sent)).collect();
            state.send_live_together(&*subscriber.transport, &pending);
            if let Some(generation) = state.replay_generation() {
                self.metrics.fell_behind.inc();
                return self.request_replay(subscriber, generation);
            }
        }
        if !state.is_behind() {
            state.stay_live(&position.offset, position.number);
        }
    }

    /// Makes a connected subscriber a member, and tells it if somebody types in the room.
    pub(super) fn add_member(
        &self,
        state: &mut HubState,
        subscriber: &Arc<Subscriber>,
        joined: Membership,
    ) {
        let entry: &mut RoomState = state.rooms.entry(joined.room.clone()).or_default();
        Arc::make_mut(&mut entry.members).push(subscriber.clone());
        let typing = entry.typers.shown_to_newcomer(subscriber.id, &joined.room);
        self.presence.enter(subscriber, &joined.room);
        subscriber.state().enter(joined);
        if let Some(event) = typing {
            self.send(subscriber, &event);
        }
    }

    /// Leaves a room. False: the subscriber was not in it, which is no error.
    pub(crate) fn leave(&self, subscriber: &Arc<Subscriber>, room: &Room) -> bool {
        let _order = self.typing_order();
        let (was_in, change) = self.leave_now(&mut self.state(), subscriber, room);
        self.relay_typing([change]);
        was_in
    }

    /// Takes a subscriber out of a room, under the hub's lock. Says whether it was in there, and what that changes for those who see
    /// who types.
    pub(super) fn leave_now(
        &self,
        state: &mut HubState,
        subscriber: &Arc<Subscriber>,
        room: &Room,
    ) -> (bool, (Members, TypingChange, Room)) {
        let was_in = {
            let rooms = &mut subscriber.state().rooms;
            let before = rooms.len();
            rooms.retain(|joined| joined.room != *room);
            rooms.len() < before
        };
        if was_in {
            self.presence.leave(subscriber, room);
        }
        // What is on its way to the room's members is not sent to this one any more.
        if let Some(position) = &state.position {
            self.send_pending(position, subscriber);
        }
        (was_in, state.remove_member(room, subscriber))
    }
}

impl HubState {
    /// Takes a subscriber out of a room's members, and says what that changes for those who see who types.
    pub(super) fn remove_member(
        &mut self,
        room: &Room,
        subscriber: &Subscriber,
    ) -> (Members, TypingChange, Room) {
        let entry = self.rooms.entry(room.clone()).or_default();
        if let Some(index) = entry
            .members
            .iter()
            .position(|member| member.id == subscriber.id)
        {
            Arc::make_mut(&mut entry.members).swap_remove(index);
        }
        let change = entry.typers.end(Typer::Subscriber(subscriber.id));
        let change = (entry.members.clone(), change, room.clone());
        self.forget_if_empty(room);
        change
    }
}

#[cfg(test)]
mod tests;
