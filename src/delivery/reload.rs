//! An event that has rooms reloaded, on its way to whoever is in one: it is passed like any other, at its place among them, and each
//! subscriber is told of the rooms that it was in before.
//!
//! Guarantees: once, whether a subscriber is live or behind. One that joined a room after the event has loaded it, or will.

use std::collections::HashMap;
use std::sync::Arc;

use super::broadcast_event::BroadcastEvent;
use super::hub::{Members, RoomState};
use super::subscriber::DeliveryState;
use crate::event::{Event, Reload, Room};
use crate::offset::Offset;
use crate::quota::Sampled;

/// The line of the log about such events. Sampled: whoever may truncate a table may do so again and again.
#[derive(Default)]
pub(super) struct ReloadLog(Sampled);

impl ReloadLog {
    /// Says why clients reload.
    pub(super) fn write(&self, reload: &Reload) {
        if let Some(count) = self.0.due() {
            tracing::warn!(count, "clients are told to reload: {}", reload.why());
        }
    }
}

/// Whether an event is of a room, or has it reloaded.
pub(super) fn is_of(event: &Event, room: &Room) -> bool {
    event.room == *room || Reload::of(event).is_some_and(|reload| reload.concerns(room))
}

/// The members of each room that is to be reloaded. The hub's lock is held for no more than a look at each room's name.
pub(super) fn members_by_room(rooms: &HashMap<Room, RoomState>, reload: &Reload) -> Vec<Members> {
    let rooms = rooms.iter().filter(|(room, _)| reload.concerns(room));
    rooms.map(|(_, entry)| entry.members.clone()).collect()
}

/// Whoever is in any of some rooms, once.
pub(super) fn merge(by_room: &[Members]) -> Members {
    let mut members: Vec<_> = by_room
        .iter()
        .flat_map(|room| room.iter().cloned())
        .collect();
    members.sort_unstable_by_key(|member| member.id);
    members.dedup_by_key(|member| member.id);
    Arc::new(members)
}

impl DeliveryState {
    /// Whether an event is of one of its rooms, or has one reloaded.
    pub(super) fn is_concerned_by(&self, event: &BroadcastEvent) -> bool {
        match &event.reload {
            None => self.membership(&event.event.room).is_some(),
            Some(reload) => self
                .rooms
                .iter()
                .any(|joined| reload.concerns(&joined.room)),
        }
    }

    /// Whether a replay is to send an event: the subscriber is in its room, and did not have it when it joined. So with one that has
    /// rooms reloaded.
    pub(super) fn wants(&self, event: &Event) -> bool {
        if let Some(reload) = Reload::of(event) {
            return self.rooms_to_reload(event, &reload, false).next().is_some();
        }
        let joined = self.membership(&event.room);
        joined.is_some_and(|joined| joined.at.seen.misses(event.xid, event.id))
    }

    /// The rooms that an event has reloaded and that were joined before it. One that comes again after a crash is `repeated`: some
    /// have had it.
    pub(super) fn rooms_to_reload(
        &self,
        event: &Event,
        reload: &Reload,
        repeated: bool,
    ) -> impl Iterator<Item = &Room> {
        let joined = self.rooms.iter().filter(move |joined| {
            joined.at.seen.misses(event.xid, event.id)
                && !(repeated && joined.has_repeated)
                && reload.concerns(&joined.room)
        });
        joined.map(|joined| &joined.room)
    }

    /// Takes an event of the broadcast that has rooms reloaded, unless it had that before, or it is left to a replay. Names the rooms.
    pub(super) fn take_reload_live(&mut self, event: &BroadcastEvent) -> Vec<Room> {
        if !self.awaits(event.number) {
            return Vec::new();
        }
        let named = match &event.reload {
            None => Vec::new(),
            Some(reload) => self.take_reload(&event.event, reload, &event.offset, event.repeated),
        };
        self.stay_live(&event.offset, event.number);
        named
    }

    /// Takes an event that has rooms reloaded, and names those that were joined before it. It is to be told of them, by
    /// [`Hub::send_resyncs`](super::Hub::send_resyncs).
    pub(super) fn take_reload(
        &mut self,
        event: &Event,
        reload: &Reload,
        offset: &Arc<Offset>,
        repeated: bool,
    ) -> Vec<Room> {
        let told: Vec<Room> = self
            .rooms_to_reload(event, reload, repeated)
            .cloned()
            .collect();
        let joined = self.rooms.iter().map(|joined| joined.at.clone());
        let joined: Vec<Arc<Offset>> = joined.collect();
        let named = self.name_for_reload(offset, |room| told.contains(room));
        // A replay may come by from before the room was joined. What it has still to come to and was there then is not missing.
        for (room, at) in self.rooms.iter_mut().zip(joined) {
            if !room.at.seen.reaches(&at.seen) {
                room.at = at;
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::fakes::{EPOCH, broadcast_event, event, offset_at};
    use crate::delivery::membership::Membership;
    use serde_json::value::RawValue;

    /// Has the room `r` reloaded.
    fn reload(id: i64, xid: u64) -> BroadcastEvent {
        let payload = r#"{"rooms":["r"],"source":"public.t","reason":"truncate"}"#;
        let event = Event {
            room: Room::of_reloads(),
            payload: RawValue::from_string(payload.to_owned()).expect("JSON"),
            ..Arc::into_inner(event(id, xid, "r")).expect("it is the only one")
        };
        BroadcastEvent {
            reload: Reload::of(&event).map(Arc::new),
            event: Arc::new(event),
            ..broadcast_event(id, xid, 20, 1)
        }
    }

    fn takes(state: &mut DeliveryState, event: &BroadcastEvent) -> usize {
        let reload = event.reload.as_ref().expect("it is one");
        state
            .take_reload(&event.event, reload, &event.offset, event.repeated)
            .len()
    }

    #[test]
    fn one_that_comes_again_after_a_crash_is_not_told_again() {
        let mut state = DeliveryState::behind(offset_at(10));
        state.rooms.push(Membership {
            has_repeated: true,
            ..Membership::new("r".into(), offset_at(10))
        });
        let mut event = reload(1, 11);
        event.repeated = true;
        assert!(state.has_had(&event));
        assert_eq!(takes(&mut state, &event), 0);
        event.repeated = false;
        assert!(!state.has_had(&event));
        assert_eq!(takes(&mut state, &event), 1);
        assert_eq!(takes(&mut state, &event), 0, "once");
    }

    #[test]
    fn a_replay_from_before_a_join_tells_of_nothing_that_the_join_has_seen() {
        let mut state = DeliveryState::behind(offset_at(10));
        let joined = Arc::new("11:14:11".parse().expect("a snapshot"));
        let joined = Arc::new(Offset::all(EPOCH, true, joined));
        state.rooms.push(Membership::new("r".into(), joined));
        assert_eq!(takes(&mut state, &reload(1, 11)), 1);
        assert_eq!(takes(&mut state, &reload(2, 12)), 0);
        assert!(!state.wants(&event(3, 13, "r")));
        assert!(state.wants(&event(4, 15, "r")));
    }
}
