//! The reads of replays: shared, and bounded in number.
//!
//! Clients that come back together mostly miss the same: what several want of a room is read once, as the least that
//! holds all of it. Each then takes what is its own ([`Step::holds`](crate::offset::Step::holds)).

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::postgres::PgPool;

use super::gather::Gather;
use super::missed::{Missed, Want, missed};
use super::{Database, REPLAY_CONNECTIONS, ReadError};
use crate::event::Room;
use crate::offset::Snapshot;

/// Clients that share a read, and rooms of one read.
const MOST_CLIENTS: usize = 500;
/// Events of one read.
const EVENTS: usize = 4_000;

/// What was read, or why not; the same for everybody who shared the read.
pub type Read = Result<Arc<Missed>, Arc<ReadError>>;

/// See the module.
pub struct Replays {
    pool: PgPool,
    max_payload: usize,
    gather: Gather<Vec<Want>, Read>,
}

impl Replays {
    /// Reads over connections of its own. Payloads above `max_payload` bytes are reduced to their ids.
    pub fn new(database: &Database, max_payload: usize) -> Self {
        Self {
            pool: database.replay_pool(),
            max_payload,
            gather: Gather::new(REPLAY_CONNECTIONS, MOST_CLIENTS),
        }
    }

    /// Reads what is wanted, and perhaps more: take what belongs to the step at hand.
    ///
    /// # Errors
    /// The database's own, and the moment after a crash.
    pub async fn read(&self, wants: Vec<Want>) -> Read {
        self.gather
            .ask(wants, async |asked| {
                let count = asked.len();
                let read = missed(&self.pool, &merge(asked), EVENTS, self.max_payload)
                    .await
                    .map(Arc::new)
                    .map_err(Arc::new);
                vec![read; count]
            })
            .await
    }

    /// Ends the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// One want for a room where that holds all that is wanted of it, without much more.
fn merge(asked: Vec<Vec<Want>>) -> Vec<Want> {
    let mut rooms: HashMap<Room, Vec<Want>> = HashMap::new();
    for want in asked.into_iter().flatten() {
        let wants = rooms.entry(want.room.clone()).or_default();
        if !wants.iter_mut().any(|other| absorb(other, &want)) {
            wants.push(want);
        }
    }
    rooms.into_values().flatten().collect()
}

/// Widens `wide` to hold `want` as well, if both are of a kind.
fn absorb(wide: &mut Want, want: &Want) -> bool {
    if wide.before == want.before && wide.batch == want.batch {
        wide.after = wide.after.min(want.after);
        wide.upto = wide.upto.max(want.upto);
        return true;
    }
    // A batch that was begun is not read again from its beginning for somebody else's sake.
    let whole = |want: &Want| want.after == i64::MIN && want.upto == i64::MAX;
    let (Some(wide_batch), Some(batch)) = (&wide.batch, &want.batch) else {
        return false;
    };
    if !whole(wide) || !whole(want) {
        return false;
    }
    let Some(before) = earlier(&wide.before, &want.before) else {
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

    fn want(before: &str, batch: &str, after: i64) -> Want {
        Want {
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
        let wanted = wanted.map(|(before, batch)| vec![want(before, batch, i64::MIN)]);
        assert_eq!(merge(wanted.into()), [want("8:8:", "30:30:", i64::MIN)]);
    }

    #[test]
    fn a_batch_that_was_begun_is_not_begun_again() {
        let merged = merge(vec![
            vec![want("10:10:", "30:30:", 500)],
            vec![want("10:10:", "30:30:", 700)],
            vec![want("30:30:", "40:40:", i64::MIN)],
        ]);
        assert_eq!(
            merged,
            [
                want("10:10:", "30:30:", 500),
                want("30:30:", "40:40:", i64::MIN)
            ]
        );
    }
}
