//! Ranges with more events than a page, of many transactions: the ids of the next pages, found at once.
//!
//! The index of rooms has the events of one transaction after those of another. In the order of their ids they come only after all
//! of a range is sorted, and to sort it again for each page would take time by the square of its events. So the ids of many pages are
//! found by one statement, and the pages are then read by their ids.
//! Guarantees nothing of its own: what a range holds never changes, but for what is pruned, of which whoever reads a page is told.
//! That is so in one life of the database, and up to a crash: afterwards transactions and events have numbers that others had. So all
//! is forgotten where a page turns out to be of another one, and whoever asked for it by ids asks again.
//! Bounded: [`MAX_KEPT`](known::MAX_KEPT) times [`MAX_IDS`] ids, for all clients together, and a few pages. Clients at one place of a range share them.

mod known;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::replay_page::{MAX_EVENTS, Read, read_page};
use crate::db::pools::Pool;
use crate::db::query_batcher::QueryBatcher;
use crate::db::read_error::ReadError;
use crate::db::retry::within;
use crate::offset::{Epoch, ReplayPage, RoomRange};
use known::{Known, Place};

/// Ids that are found at once.
const MAX_IDS: usize = 50_000;
/// Pages that are kept for whoever asks for the same, and for how long.
const MAX_PAGES: usize = 4;
const PAGE_AGE: Duration = Duration::from_secs(2);
/// Statements of one kind at a time: one connection is left for whoever missed little.
const CONCURRENCY: u32 = 1;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// `$1` is the room, `$2` what was seen before, `$3` what may be seen, `$4` the last id that was read, `$5` how many are wanted.
const FIND_IDS: &str = "
with want as materialized (
    select $1::text as room, pg_snapshot_xmax($2::text::pg_snapshot) as xmax,
           array(select pg_snapshot_xip($2::text::pg_snapshot)) as xip
)
select array(
    select id from (
        select e.id, e.xid from want w cross join lateral (
            select id, xid from rowcast.events e
            where (e.room, e.xid) >= (w.room, w.xmax) and e.room <= w.room and e.id + 0 > $4
            offset 0
        ) e
        union all
        select e.id, e.xid from want w cross join unnest(w.xip) x (xid) cross join lateral (
            select id, xid from rowcast.events e
            where (e.room, e.xid) >= (w.room, x.xid) and (e.room, e.xid) <= (w.room, x.xid) and e.id + 0 > $4
            offset 0
        ) e
    ) e
    where pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
    order by id limit $5
)";

/// What is to be read next of a long range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The events, in their order.
    pub(super) ids: Vec<i64>,
    /// Where the segment ends, if the range goes on behind it.
    pub(super) end: Option<i64>,
}

/// One read of long ranges, with the ids of their segments, and of others up to where the first of the segments ends.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LongRead {
    /// The life of the database that the ids are of.
    pub(super) life: Option<Epoch>,
    pub(super) ids: Vec<i64>,
    pub(super) others: Vec<RoomRange>,
    /// Where it ends, if there is more.
    pub(super) end: Option<i64>,
}

/// What is known of long ranges.
pub(super) struct LongRanges {
    pool: Pool,
    max_payload: usize,
    known: Mutex<Known>,
    searches: QueryBatcher<RoomRange, Result<Arc<Ids>, Arc<ReadError>>>,
    reads: QueryBatcher<LongRead, Read>,
}

/// The ids of a range after one of them.
struct Ids {
    after: i64,
    ids: Vec<i64>,
    /// Whether these are all.
    complete: bool,
}

impl LongRanges {
    pub(super) fn new(pool: Pool, max_payload: usize) -> Self {
        Self {
            pool,
            max_payload,
            known: Mutex::default(),
            searches: QueryBatcher::new(CONCURRENCY, 1),
            reads: QueryBatcher::new(CONCURRENCY, 1),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of the database that is known of.
    pub(super) fn life(&self) -> Option<Epoch> {
        self.known().life
    }

    /// Notes that a range is long, in this life of the database.
    pub(super) fn note(&self, range: &RoomRange, life: Epoch) {
        let mut known = self.known();
        known.follow(life);
        if !known.has(range) {
            known.keep(Place::new(range, None));
        }
    }

    /// What is to be read next of a range. `None`: it is not known to be long.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn segment(
        &self,
        range: &RoomRange,
    ) -> Result<Option<Segment>, Arc<ReadError>> {
        if !self.known().has(range) {
            return Ok(None);
        }
        if let Some(ids) = self.ids_at_hand(range) {
            return Ok(Some(ids.segment(range)));
        }
        let search = async |ranges: Vec<RoomRange>| {
            let mut found = Vec::with_capacity(ranges.len());
            for range in &ranges {
                found.push(self.find(range).await.map_err(Arc::new));
            }
            found
        };
        let ids = self.searches.ask(range.clone(), search).await?;
        Ok(Some(ids.segment(range)))
    }

    /// The ids that a range goes on with, if they were found before.
    fn ids_at_hand(&self, range: &RoomRange) -> Option<Arc<Ids>> {
        let mut known = self.known();
        let places = &mut known.places;
        let index = places.iter().position(|place| {
            let ids = place.ids.as_ref();
            place.is_of(range) && ids.is_some_and(|ids| ids.reaches_beyond(range.after))
        })?;
        let place = places.remove(index)?;
        let ids = place.ids.clone();
        places.push_back(place);
        ids
    }

    async fn find(&self, range: &RoomRange) -> Result<Arc<Ids>, ReadError> {
        // Somebody else may have asked meanwhile.
        if let Some(ids) = self.ids_at_hand(range) {
            return Ok(ids);
        }
        let life = self.life();
        let query = sqlx::query_scalar(FIND_IDS)
            .bind(range.room.as_str())
            .bind(range.before.to_string())
            .bind(range.batch.as_ref().map(|batch| batch.to_string()))
            .bind(range.after)
            .bind(MAX_IDS as i64 + 1);
        let mut ids: Vec<i64> = within(&self.pool, PATIENCE, async |connection| {
            query.fetch_one(connection).await
        })
        .await?;
        let complete = ids.len() <= MAX_IDS;
        ids.truncate(MAX_IDS);
        let ids = Arc::new(Ids {
            after: range.after,
            ids,
            complete,
        });
        let mut known = self.known();
        if known.life == life {
            known.keep(Place::new(range, Some(ids.clone())));
        }
        Ok(ids)
    }

    /// Reads segments.
    ///
    /// # Errors
    /// The database's own, and the moment after a crash.
    pub(super) async fn read(&self, read: LongRead) -> Read {
        let one = async |asked: Vec<LongRead>| {
            let mut read = Vec::with_capacity(asked.len());
            for asked in asked {
                read.push(self.read_or_share(asked).await);
            }
            read
        };
        self.reads.ask(read, one).await
    }

    async fn read_or_share(&self, read: LongRead) -> Read {
        let now = Instant::now();
        {
            let mut known = self.known();
            let pages = &mut known.pages;
            pages.retain(|(at, ..)| now - *at < PAGE_AGE);
            if let Some((_, _, page)) = pages.iter().find(|(_, of, _)| *of == read) {
                return page.clone();
            }
        }
        let LongRead {
            ids, others, end, ..
        } = &read;
        let page = read_page(&self.pool, others, ids, MAX_EVENTS, self.max_payload).await;
        let page = page.map_err(Arc::new)?.page;
        if read.life != Some(page.state.epoch) {
            self.known().follow(page.state.epoch);
            return Err(Arc::new(ReadError::Recovering));
        }
        let upto = match (page.upto, *end) {
            (Some(upto), Some(end)) => Some(upto.min(end)),
            (one, other) => one.or(other),
        };
        let page = Ok(Arc::new(ReplayPage { upto, ..page }));
        let mut known = self.known();
        if known.life == read.life {
            if known.pages.len() >= MAX_PAGES {
                known.pages.pop_front();
            }
            known.pages.push_back((now, read, page.clone()));
        }
        page
    }
}

impl Ids {
    /// Whether it says what comes after this id.
    fn reaches_beyond(&self, id: i64) -> bool {
        self.after <= id && (self.complete || self.ids.last().is_some_and(|last| *last > id))
    }

    fn segment(&self, range: &RoomRange) -> Segment {
        let begin = self.ids.partition_point(|id| *id <= range.after);
        let upto = self.ids.partition_point(|id| *id <= range.upto);
        let end = upto.min(begin + MAX_EVENTS).max(begin);
        let ids = &self.ids[begin..end];
        // Where something lies behind, that ends the segment, and not the range.
        let is_whole = end == upto && (self.complete || upto < self.ids.len());
        Segment {
            ids: ids.to_vec(),
            end: ids.last().copied().filter(|_| !is_whole),
        }
    }
}

#[cfg(test)]
mod tests;
