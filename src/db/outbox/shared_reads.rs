//! The reads of replays: shared between clients, and bounded in number.
//!
//! Clients that come back together mostly missed the same events. So what several of them ask of one room is read once, as the
//! smallest range that holds all of it. Each client then picks its own events
//! ([`ReadRange::holds`](crate::offset::ReadRange::holds)).
//! What somebody missed of a room may be more than a page: such ranges are read by themselves (`long_ranges`).
//! Guarantees that a thousand replays at once never run more than a few statements at a time.

use std::collections::HashMap;
use std::sync::Arc;

use super::long_ranges::{LongRanges, LongRead, Segment};
use super::replay_page::{MAX_EVENTS, Read, read_page};
use crate::db::pools::{Pool, REPLAY_CONNECTIONS};
use crate::db::query_batcher::QueryBatcher;
use crate::event::Room;
use crate::offset::{Epoch, RoomRange, Snapshot};

/// Clients that share a read, and rooms of one read.
const MAX_CLIENTS: usize = 500;

/// Reads what was missed, for many clients by one statement.
pub(crate) struct SharedReads {
    pool: Pool,
    max_payload: usize,
    batcher: QueryBatcher<Vec<RoomRange>, Read>,
    long: LongRanges,
}

impl SharedReads {
    /// Reads over the pool of replays. Payloads above `max_payload` bytes are reduced to their ids.
    pub(crate) fn new(pool: Pool, max_payload: usize) -> Self {
        Self {
            long: LongRanges::new(pool.clone(), max_payload),
            pool,
            max_payload,
            batcher: QueryBatcher::new(REPLAY_CONNECTIONS - 1, MAX_CLIENTS),
        }
    }

    /// Reads what is wanted, and perhaps more: take what belongs to the step at hand.
    ///
    /// # Errors
    /// The database's own, and the moment after a crash.
    pub(crate) async fn read(&self, ranges: Vec<RoomRange>) -> Read {
        let life = self.long.life();
        let mut segments = Vec::with_capacity(ranges.len());
        for range in &ranges {
            segments.push(self.long.segment(range).await?);
        }
        if segments.iter().any(Option::is_some) {
            return self.long.read(long_read(life, ranges, segments)).await;
        }
        self.batcher
            .ask(ranges, async |asked| {
                let count = asked.len();
                vec![self.read_together(asked).await; count]
            })
            .await
    }

    async fn read_together(&self, asked: Vec<Vec<RoomRange>>) -> Read {
        let merged = merge(asked.clone());
        let read = read_page(&self.pool, &merged, &[], MAX_EVENTS, self.max_payload).await;
        let read = read.map_err(Arc::new)?;
        for long in read.long.iter().filter_map(|place| merged.get(*place)) {
            // Those who are merged with it want less, and do not go on with it.
            let same = asked
                .iter()
                .flatten()
                .filter(|range| range.room == long.room);
            for range in same.filter(|range| range.before == long.before) {
                self.long.note(range, read.page.state.epoch);
            }
        }
        Ok(Arc::new(read.page))
    }
}

/// The read of these segments, found in this life of the database, and of the ranges that have none up to where the first segment ends.
fn long_read(
    life: Option<Epoch>,
    ranges: Vec<RoomRange>,
    segments: Vec<Option<Segment>>,
) -> LongRead {
    let end = segments
        .iter()
        .flatten()
        .filter_map(|segment| segment.end)
        .min();
    let (mut ids, mut others) = (Vec::new(), Vec::new());
    for (range, segment) in ranges.into_iter().zip(segments) {
        match segment {
            Some(segment) => ids.extend(segment.ids),
            None => others.push(RoomRange {
                upto: end.map_or(range.upto, |end| end.min(range.upto)),
                ..range
            }),
        }
    }
    ids.retain(|id| end.is_none_or(|end| *id <= end));
    ids.sort_unstable();
    LongRead {
        life,
        ids,
        others,
        end,
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

    #[test]
    fn others_are_read_as_far_as_the_first_segment_goes() {
        let segment = |ids: &[i64], end| {
            Some(Segment {
                ids: ids.to_vec(),
                end,
            })
        };
        let ranges = vec![range("10:10:", "30:30:", 1); 3];
        let segments = vec![segment(&[2, 9], Some(9)), None, segment(&[3, 5], Some(5))];
        let read = long_read(None, ranges.clone(), segments);
        assert_eq!((read.ids, read.end), (vec![2, 3, 5], Some(5)));
        let upto: Vec<_> = read.others.iter().map(|range| range.upto).collect();
        assert_eq!(upto, [5]);
        let whole = long_read(None, ranges, vec![segment(&[2], None), None, None]);
        assert_eq!((whole.end, whole.others[0].upto), (None, i64::MAX));
    }
}
