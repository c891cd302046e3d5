//! The reads of replays: shared between clients, and bounded in number.
//!
//! Clients that come back together mostly missed the same events. So what several of them ask of one room is read once, as the
//! smallest range that holds all of it. Each client then picks its own events
//! ([`ReadRange::holds`](crate::offset::ReadRange::holds)).
//! Guarantees that a thousand replays at once never run more than a few statements at a time.

use std::collections::HashMap;
use std::sync::Arc;

use super::replay_page::{MAX_EVENTS, replay_page};
use crate::db::pools::{Pool, REPLAY_CONNECTIONS};
use crate::db::query_batcher::QueryBatcher;
use crate::db::read_error::ReadError;
use crate::event::Room;
use crate::offset::{ReplayPage, RoomRange, Snapshot};

/// Clients that share a read, and rooms of one read.
const MAX_CLIENTS: usize = 500;

/// What was read, or why not; the same for everybody who shared the read.
pub(crate) type Read = Result<Arc<ReplayPage>, Arc<ReadError>>;

/// Reads what was missed, for many clients by one statement.
pub(crate) struct SharedReads {
    pool: Pool,
    max_payload: usize,
    batcher: QueryBatcher<Vec<RoomRange>, Read>,
}

impl SharedReads {
    /// Reads over the pool of replays. Payloads above `max_payload` bytes are reduced to their ids.
    pub(crate) fn new(pool: Pool, max_payload: usize) -> Self {
        Self {
            pool,
            max_payload,
            batcher: QueryBatcher::new(REPLAY_CONNECTIONS, MAX_CLIENTS),
        }
    }

    /// Reads what is wanted, and perhaps more: take what belongs to the step at hand.
    ///
    /// # Errors
    /// The database's own, and the moment after a crash.
    pub(crate) async fn read(&self, ranges: Vec<RoomRange>) -> Read {
        self.batcher
            .ask(ranges, async |asked| {
                let count = asked.len();
                let read = replay_page(&self.pool, &merge(asked), MAX_EVENTS, self.max_payload)
                    .await
                    .map(Arc::new)
                    .map_err(Arc::new);
                vec![read; count]
            })
            .await
    }
}

/// Merges ranges of one room where the merged range holds little more than what is wanted.
fn merge(asked: Vec<Vec<RoomRange>>) -> Vec<RoomRange> {
    let mut rooms: HashMap<Room, Vec<RoomRange>> = HashMap::new();
    for range in asked.into_iter().flatten() {
        let ranges = rooms.entry(range.room.clone()).or_default();
        if !ranges.iter_mut().any(|other| absorb(other, &range)) {
            ranges.push(range);
        }
    }
    rooms.into_values().flatten().collect()
}

/// Widens `wide` to hold `range` as well, if both are of a kind.
fn absorb(wide: &mut RoomRange, range: &RoomRange) -> bool {
    if wide.before == range.before && wide.batch == range.batch {
        wide.after = wide.after.min(range.after);
        wide.upto = wide.upto.max(range.upto);
        return true;
    }
    // A client in the middle of a batch needs its rest only: widening the range would read the batch from its beginning.
    let whole = |range: &RoomRange| range.after == i64::MIN && range.upto == i64::MAX;
    let (Some(wide_batch), Some(batch)) = (&wide.batch, &range.batch) else {
        return false;
    };
    if !whole(wide) || !whole(range) {
        return false;
    }
    let Some(before) = earlier(&wide.before, &range.before) else {
        return false;
    };
    let Some(not_later) = earlier(wide_batch, batch) else {
        return false;
    };
    let later = if not_later == *batch {
        wide_batch
    } else {
        batch
    };
    (wide.batch, wide.before) = (Some(later.clone()), before);
    true
}

fn earlier(a: &Arc<Snapshot>, b: &Arc<Snapshot>) -> Option<Arc<Snapshot>> {
    if a.covers(b) {
        Some(b.clone())
    } else if b.covers(a) {
        Some(a.clone())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(before: &str, batch: &str, after: i64) -> RoomRange {
        RoomRange {
            room: Room::from("r"),
            before: Arc::new(before.parse().expect("a snapshot")),
            batch: Some(Arc::new(batch.parse().expect("a snapshot"))),
            after,
            upto: i64::MAX,
        }
    }

    #[test]
    fn what_many_want_of_a_room_is_read_once() {
        let wanted = [
            ("10:10:", "30:30:"),
            ("8:8:", "25:25:"),
            ("20:20:", "25:25:"),
        ];
        let wanted = wanted.map(|(before, batch)| vec![range(before, batch, i64::MIN)]);
        assert_eq!(merge(wanted.into()), [range("8:8:", "30:30:", i64::MIN)]);
    }

    #[test]
    fn a_batch_that_was_begun_is_not_begun_again() {
        let merged = merge(vec![
            vec![range("10:10:", "30:30:", 500)],
            vec![range("10:10:", "30:30:", 700)],
            vec![range("30:30:", "40:40:", i64::MIN)],
        ]);
        assert_eq!(
            merged,
            [
                range("10:10:", "30:30:", 500),
                range("30:30:", "40:40:", i64::MIN)
            ]
        );
    }
}
