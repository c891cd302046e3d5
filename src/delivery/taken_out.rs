//! A subscriber that the server takes out of a room: what it can be told for certain, and what a join that is under way is answered.

use std::sync::Arc;

use super::access::JoinBegun;
use super::hub::Hub;
use super::membership::Membership;
use super::outgoing::Outgoing;
use super::subscriber::{DeliveryState, Subscriber};
use crate::event::{Room, left};
use crate::offset::Offset;
use crate::revocations::Bearer;

impl DeliveryState {
    /// The same, of the bearer of a token.
    pub(crate) fn of(mut self, bearer: Option<Bearer>) -> Self {
        self.access.bearer = bearer;
        self
    }

    /// The server takes it out of a room, and tells it so at this place of the broadcast. A client that comes back has heard of that for
    /// certain only if its offset is a later one; else it is told to load its other rooms again. Later also than what it had of another
    /// server, which may be ahead of this one.
    pub(super) fn note_taken_out(&mut self, here: &Arc<Offset>) {
        let is_ahead = self.complete_to_offset.seen.reaches(&here.seen);
        let here = if is_ahead {
            &self.complete_to_offset
        } else {
            here
        };
        self.access.renew();
        self.access.taken_out_at = Some(here.clone());
        self.last_sent_offset = None;
        for joined in &mut self.rooms {
            joined.must_be_after = Some(here.clone());
        }
    }

    /// It enters a room, perhaps before it hears that it was taken out of another one.
    pub(super) fn enter(&mut self, mut joined: Membership) {
        if let Some(here) = &self.access.taken_out_at {
            joined.must_be_after.get_or_insert_with(|| here.clone());
        }
        self.rooms.push(joined);
    }
}

impl Hub {
    /// Puts a subscriber that resumes into its rooms. It is told which of them it has `left`, each for its reason: because the policy
    /// said so, or because the room was closed to it since. True: it has left one.
    pub(crate) fn restore(
        &self,
        subscriber: &Arc<Subscriber>,
        rooms: Vec<Membership>,
        mut left: Vec<(Room, &'static str)>,
    ) -> bool {
        let _order = self.typing_order();
        let mut state = self.state();
        if !state.subscribers.contains_key(&subscriber.id) {
            return false;
        }
        for joined in rooms {
            if self.check_not_revoked(subscriber, &joined.room).is_ok() {
                self.add_member(&mut state, subscriber, joined);
            } else {
                left.push((joined.room, left::REVOKED));
            }
        }
        if let (Some(position), false) = (&state.position, left.is_empty()) {
            subscriber.state().note_taken_out(&position.offset);
        }
        for (room, reason) in &left {
            self.metrics.rooms_left(reason);
            self.send(subscriber, &Outgoing::left(room, reason));
        }
        !left.is_empty()
    }
}

impl Subscriber {
    /// For a join that begins.
    pub(crate) fn join_begun(&self) -> JoinBegun {
        let state = self.state();
        JoinBegun {
            access: state.access.generation(),
            reloads: state.reloads,
        }
    }

    /// Calls `answer` with the offset that a join of this room is to be answered with, and lets no event be sent before
    /// it returns. That is what the subscriber had of the room when it was joined, or what it was sent since. With the
    /// offset comes whether the subscriber is to reload the room: because of how it joined, or of what came since the join was
    /// begun. What it was told earlier, in a room that it was in already, it is not told again.
    ///
    /// False, without a call: the server has taken it out of the room again, since the join was begun.
    pub(crate) fn with_join_offset(
        &self,
        room: &Room,
        is_unproven: bool,
        begun: JoinBegun,
        answer: impl FnOnce(&Offset, bool),
    ) -> bool {
        let mut state = self.state();
        // It may have left again in the same breath.
        let joined = state.membership(room);
        if joined.is_none() && state.access.generation() != begun.access {
            if is_unproven {
                state.reload_is_told();
            }
            return false;
        }
        let joined_at = joined
            .map(|joined| &joined.at)
            .filter(|at| !state.complete_to_offset.seen.reaches(&at.seen));
        let offset = joined_at.unwrap_or(&state.complete_to_offset);
        answer(
            offset,
            is_unproven || joined.is_some_and(|joined| joined.last_reload > begun.reloads),
        );
        if is_unproven {
            state.reload_is_told();
        }
        true
    }

    /// Whether the server has taken it out of a room.
    pub(crate) fn was_taken_out(&self) -> bool {
        self.state().access.taken_out_at.is_some()
    }
}
