//! The last events of the broadcast, for subscribers that were away for a moment: no read of the database for them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::broadcast_event::BroadcastEvent;
use crate::event::{Event, Room};
use crate::offset::{ReadRange, Snapshot};

const MAX_EVENTS: usize = 2_048;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Every event that the broadcast has come to since `start`, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct RecentEvents {
    events: VecDeque<BroadcastEvent>,
    bytes: usize,
    start: Arc<Snapshot>,
}

impl RecentEvents {
    /// Nothing yet, after a broadcast that has sent all that `start` sees.
    pub(super) fn since(start: Arc<Snapshot>) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            start,
        }
    }

    pub(super) fn push(&mut self, event: BroadcastEvent) {
        self.bytes += event.event.payload.get().len();
        self.events.push_back(event);
        let too_many = |recent: &Self| recent.events.len() > MAX_EVENTS || recent.bytes > MAX_BYTES;
        // A burst is less than that, or one event: what may be on its way stays in any case.
        while self.events.len() > 1 && too_many(self) {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.event.payload.get().len();
            // Of its batch only a part is left.
            self.start = oldest.batch;
        }
    }

    /// The events of this number and of later ones.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = &BroadcastEvent> {
        let later = self.events.iter().rev();
        let count = later.take_while(|event| event.number >= number).count();
        self.events.range(self.events.len() - count..)
    }

    /// The newest, `most` at most, that came after the one of this number, with their numbers, the oldest first.
    pub(super) fn newest(&self, after: u64, most: usize) -> Vec<(u64, Arc<Event>)> {
        let events = self.events.iter().rev().take(most);
        let later = events.take_while(|recent| recent.number > after);
        let mut newest: Vec<_> = later
            .map(|recent| (recent.number, recent.event.clone()))
            .collect();
        newest.reverse();
        newest
    }

    /// Those of a room, the newest first.
    pub(super) fn of_room<'a>(&'a self, room: &'a Room) -> impl Iterator<Item = &'a Event> {
        let events = self.events.iter().rev().map(|recent| &*recent.event);
        events.filter(move |event| event.room == *room)
    }

    /// The wanted events of a range, by id. `None` where some may be older than what is kept.
    pub(super) fn of_range(
        &self,
        range: &ReadRange,
        wanted: impl Fn(&BroadcastEvent) -> bool,
    ) -> Option<Vec<Arc<Event>>> {
        if !range.before.covers(&self.start) {
            return None;
        }
        let mut events: Vec<_> = self
            .events
            .iter()
            .filter(|recent| range.holds(recent.event.xid, recent.event.id) && wanted(recent))
            .map(|recent| recent.event.clone())
            .collect();
        events.sort_by_key(|event| event.id);
        Some(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::fakes::{broadcast_event, snapshot};

    fn range(before: u64, batch: u64) -> ReadRange {
        ReadRange {
            before: snapshot(before),
            batch: snapshot(batch),
            after: i64::MIN,
            upto: None,
        }
    }

    fn ids(recent: &RecentEvents, range: &ReadRange) -> Option<Vec<i64>> {
        let events = recent.of_range(range, |_| true)?;
        Some(events.iter().map(|event| event.id).collect())
    }

    #[test]
    fn a_range_within_what_is_kept_is_at_hand_by_id() {
        let mut recent = RecentEvents::since(snapshot(10));
        for (id, xid) in [(3_i64, 12), (2, 11), (5, 15)] {
            recent.push(broadcast_event(id, xid, 20, id.unsigned_abs()));
        }
        assert_eq!(ids(&recent, &range(10, 20)), Some(vec![2, 3, 5]));
        assert_eq!(ids(&recent, &range(12, 20)), Some(vec![3, 5]));
        assert_eq!(ids(&recent, &range(9, 20)), None, "older than kept");
    }

    #[test]
    fn the_number_kept_is_bounded_and_never_claims_half_a_batch() {
        let mut recent = RecentEvents::since(snapshot(10));
        for id in 0..=MAX_EVENTS as i64 {
            recent.push(broadcast_event(id, 15, 20, id.unsigned_abs()));
        }
        assert_eq!(recent.events.len(), MAX_EVENTS);
        assert_eq!(ids(&recent, &range(10, 20)), None);
        assert_eq!(ids(&recent, &range(20, 30)), Some(Vec::new()));
    }
}
