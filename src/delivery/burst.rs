//! Events of one batch that the broadcast passes at one moment, so that each subscriber gets its own of them in one write.
//!
//! Guarantees that a burst is small beside what is kept of the last events: whoever joins or leaves a room meanwhile finds all of it
//! there. Rooms with few members come first, so that nobody else waits for the last of a large room. No I/O.

use std::sync::Arc;

use super::batch::Batch;
use super::broadcast_event::BroadcastEvent;
use super::hub::Members;
use super::outgoing::Outgoing;

/// Events of a burst at most.
const MAX_EVENTS: usize = 64;
/// Bytes of their payloads at most; one larger event may stand alone.
const MAX_BYTES: usize = 1024 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Burst {
    /// In the order of delivery.
    pub(super) events: Vec<(BroadcastEvent, Outgoing)>,
    pub(super) rooms: Vec<BurstRoom>,
}

/// What a burst has for one room.
pub(super) struct BurstRoom {
    /// Where its events stand in the burst.
    pub(super) events: Vec<usize>,
    /// Who gets them.
    pub(super) members: Members,
}

impl Burst {
    /// Where the burst ends that begins at `from`. One that has rooms reloaded stands alone.
    pub(super) fn end(batch: &Batch, from: usize) -> usize {
        let (mut end, mut bytes) = (from, 0);
        for event in batch.events[from..].iter().take(MAX_EVENTS) {
            bytes += event.event.payload.get().len();
            let stands_alone = event.event.room.is_of_reloads();
            if end > from && (stands_alone || bytes > MAX_BYTES) {
                break;
            }
            end += 1;
            if stands_alone {
                break;
            }
        }
        end
    }
}

impl FromIterator<(Members, BroadcastEvent)> for Burst {
    fn from_iter<I: IntoIterator<Item = (Members, BroadcastEvent)>>(passed: I) -> Self {
        let mut burst = Self::default();
        for (members, event) in passed {
            let index = burst.events.len();
            let mut rooms = burst.rooms.iter_mut();
            // All of it is of one moment, so a room's members are the same for each of its events.
            match rooms.find(|room| Arc::ptr_eq(&room.members, &members)) {
                Some(room) => room.events.push(index),
                None => burst.rooms.push(BurstRoom {
                    events: vec![index],
                    members,
                }),
            }
            let outgoing = event.outgoing();
            burst.events.push((event, outgoing));
        }
        burst.rooms.sort_by_key(|room| room.members.len());
        burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::fakes;
    use crate::event::Room;

    #[test]
    fn a_burst_is_bounded_and_a_reload_stands_alone() {
        let many: Vec<_> = (0..100).map(|id| (id, 15, "r")).collect();
        let mut batch = fakes::batch(10, 20, &many);
        assert_eq!(Burst::end(&batch, 0), MAX_EVENTS);
        assert_eq!(Burst::end(&batch, 90), 100);
        let reload = Arc::get_mut(&mut batch.events[5].event).expect("it is ours alone");
        reload.room = Room::of_reloads();
        let ends = [0, 5, 6].map(|from| Burst::end(&batch, from));
        assert_eq!(ends, [5, 6, 6 + MAX_EVENTS]);
        let large = Arc::get_mut(&mut batch.events[8].event).expect("it is ours alone");
        let text = format!("\"{}\"", "x".repeat(2 * MAX_BYTES));
        large.payload = serde_json::value::RawValue::from_string(text).expect("JSON");
        let ends = [6, 8, 9].map(|from| Burst::end(&batch, from));
        assert_eq!(ends, [8, 9, 9 + MAX_EVENTS]);
    }
}
