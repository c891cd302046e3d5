//! The end of a right, for who is connected: under the hub's lock, so that nobody slips in.
//!
//! A revocation is first added to [`Revocations`](crate::revocations::Revocations), and then who is connected is looked at. Whoever is
//! admitted, to the hub or to a room, is looked up there under the lock that the look at the connected takes as well: so either
//! the admission finds the revocation, or the look finds who was admitted.
//! A replay of a room whose events are sent before the subscriber is in it holds no lock in between. It remembers the
//! subscriber's [`AccessGeneration`](super::access::AccessGeneration), and asks for its admission again in another one.

use std::sync::Arc;

use super::hub::Hub;
use super::outgoing::Outgoing;
use super::rooms::JoinError;
use super::subscriber::Subscriber;
use crate::event::{Room, left};
use crate::revocations::{Bearer, Revocation};

impl Hub {
    /// Ends what one revocation ends. Returns who had to leave a room and stays connected.
    pub(super) fn revoke(&self, revocation: &Revocation) -> Vec<Arc<Subscriber>> {
        self.revocations.add(std::slice::from_ref(revocation));
        let subject = self.revocations.subject(revocation);
        let theirs = self.state().by_subject.get(&subject).cloned();
        let reason = revocation.reason.as_deref().unwrap_or(left::REVOKED);
        let mut out = theirs.unwrap_or_default();
        out.retain(|subscriber| self.take_what_was_revoked(subscriber, reason));
        out
    }

    /// Ends what any of many revocations ends, among which may be old ones.
    pub(super) fn revoke_all(&self, revocations: &[Revocation]) -> Vec<Arc<Subscriber>> {
        self.revocations.add(revocations);
        if revocations.is_empty() {
            return Vec::new();
        }
        let mut out: Vec<_> = {
            let state = self.state();
            state.by_subject.values().flatten().cloned().collect()
        };
        out.retain(|subscriber| self.take_what_was_revoked(subscriber, left::REVOKED));
        out
    }

    /// Takes a subscriber out of every room that is closed to it now, or ends its connection. Its client comes back by itself, and is
    /// refused: by a DISCONNECT packet it would not learn why. True: it had to leave a room, and stays connected.
    fn take_what_was_revoked(&self, subscriber: &Arc<Subscriber>, reason: &str) -> bool {
        let (bearer, rooms) = {
            let mut state = subscriber.state();
            state.access.renew();
            let rooms: Vec<Room> = state.rooms.iter().map(|in_it| in_it.room.clone()).collect();
            (state.access.bearer, rooms)
        };
        let Some(bearer) = bearer else {
            return false;
        };
        if self.revocations.of(&bearer).is_some() {
            subscriber.transport.close();
            return false;
        }
        let mut has_left = false;
        for room in rooms {
            if self.revocations.closes(&bearer, &room) {
                has_left |= self.put_out_and_tell(subscriber, &room, left::REVOKED, reason);
            }
        }
        has_left
    }

    /// Takes a subscriber out of a room that it may not be in any more, and tells it. False: it was not in it.
    pub(crate) fn put_out(
        &self,
        subscriber: &Arc<Subscriber>,
        room: &Room,
        reason: &'static str,
    ) -> bool {
        self.put_out_and_tell(subscriber, room, reason, reason)
    }

    /// The same, where the client is `told` something else than what is counted.
    pub(super) fn put_out_and_tell(
        &self,
        subscriber: &Arc<Subscriber>,
        room: &Room,
        reason: &'static str,
        told: &str,
    ) -> bool {
        let _order = self.typing_order();
        let mut state = self.state();
        subscriber.state().access.renew();
        let (was_in, change) = self.leave_now(&mut state, subscriber, room);
        if let (Some(position), true) = (&state.position, was_in) {
            subscriber.state().note_taken_out(&position.offset);
            self.metrics.rooms_left(reason);
            self.send(subscriber, &Outgoing::left(room, told));
        }
        drop(state);
        self.relay_typing([change]);
        was_in
    }

    /// A subscriber goes on with a later token of the same subject. If what it proved is revoked in this moment, the connection ends.
    pub(crate) fn renew_bearer(&self, subscriber: &Arc<Subscriber>, bearer: Option<Bearer>) {
        {
            let _admission = self.state();
            subscriber.state().access.bearer = bearer;
        }
        if !self.revocations.is_empty() {
            self.take_what_was_revoked(subscriber, left::REVOKED);
        }
    }

    /// Whether what a subscriber's token proved was revoked since it connected.
    pub(crate) fn is_revoked(&self, subscriber: &Subscriber) -> bool {
        let bearer = subscriber.state().access.bearer;
        bearer.is_some_and(|bearer| self.revocations.of(&bearer).is_some())
    }

    /// Asked under the hub's lock, for an admission.
    pub(super) fn check_not_revoked(
        &self,
        subscriber: &Subscriber,
        room: &Room,
    ) -> Result<(), JoinError> {
        let bearer = subscriber.state().access.bearer;
        match bearer {
            Some(bearer) if self.revocations.closes(&bearer, room) => Err(JoinError::Revoked),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
