//! A client that asks to leave a room: it is served until that is stored ([`Membership::is_leaving`](super::membership::Membership)).

use super::subscriber::Subscriber;
use crate::event::Room;

impl Subscriber {
    /// The client asks to leave a room: what is stored of it has the room no more. It is served until [`Hub::leave`](super::Hub::leave).
    /// False: it is not in the room.
    pub(crate) fn begin_leave(&self, room: &Room) -> bool {
        self.set_leaving(room, true)
    }

    /// That could not be stored: it stays.
    pub(crate) fn cancel_leave(&self, room: &Room) {
        self.set_leaving(room, false);
    }

    fn set_leaving(&self, room: &Room, is_leaving: bool) -> bool {
        let mut state = self.state();
        let joined = state.rooms.iter_mut().find(|joined| joined.room == *room);
        joined
            .map(|joined| joined.is_leaving = is_leaving)
            .is_some()
    }

    /// Whether it has asked to leave the room that it is in.
    pub(crate) fn is_leaving(&self, room: &Room) -> bool {
        let state = self.state();
        state
            .membership(room)
            .is_some_and(|joined| joined.is_leaving)
    }
}
