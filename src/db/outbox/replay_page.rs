//! What rooms got since a snapshot: the reads of replays, of joins with an offset, and of events over HTTP.
//!
//! One statement serves any number of rooms, of any number of clients. It yields events in the order of their ids, bounded
//! in number and bytes; the caller asks again for the rest, after the last id.
//! Guarantees that the answer is exact: it has an event if and only if `batch` sees the event and `before` does not, however
//! long ago it was written.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::epoch::{self, database_state_columns};
use super::row;
use super::sendable::sendable;
use crate::db::pools::Pool;
use crate::db::read_error::ReadError;
use crate::db::retry::within;
use crate::offset::{ReplayPage, RoomRange, Snapshot};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events of one read at most, and their bytes. A compressed payload counts ten times its stored size.
pub(super) const MAX_EVENTS: usize = 4_000;
const MAX_BYTES: i64 = 2 * 1024 * 1024;

/// Transactions that are looked up one by one at most.
const MAX_TRANSACTIONS: i64 = 16;

/// Of each range, transactions that were in progress at its beginning are looked up one by one, later ones as a range of the
/// same index. Where a range has more than a page's events (`is_long`), of few transactions (`xids`), these are looked up one by one, too: each
/// has its events in the order of their ids, so a page of a transaction with a million events costs no more than one of a few. A long range
/// of many transactions is sorted whole, which the caller is told (`long`): what is left of it is better asked for by ids (`$9`).
/// A room and a transaction are compared as one row, which only the index of rooms can answer: whatever the statistics say, the
/// planner can't walk the events of other rooms by the index of transactions. `room = w.room` beside it would begin at the
/// room's first event.
/// `limit` and `offset 0` keep it from looking at the transactions of each event instead of the events of each transaction.
/// `offset 0` and `id + 0` keep the planner from walking the primary key, past the events of every other room, in order to have
/// them sorted.
const REPLAY_PAGE: &str = concat!(
    "
with want as materialized (
    select place, room, pg_snapshot_xmax(before) as xmax, array(select pg_snapshot_xip(before)) as xip,
           coalesce(batch, pg_current_snapshot()) as batch, after, upto
    from unnest($1::text[], $2::text[]::pg_snapshot[], $3::text[]::pg_snapshot[], $4::int8[], $5::int8[])
      with ordinality as w (room, before, batch, after, upto, place)
), measured as materialized (
    select w.*, (
        select count(*) > $6
        from (
            (select from rowcast.events e where (e.room, e.xid) >= (w.room, w.xmax) and e.room <= w.room limit $6 + 1)
            union all
            (select from unnest(w.xip) x (xid) cross join lateral (
                select from rowcast.events e
                where (e.room, e.xid) >= (w.room, x.xid) and (e.room, e.xid) <= (w.room, x.xid) limit $6 + 1
             ) e limit $6 + 1)
        ) e
    ) as is_long
    from want w
), counted as materialized (
    select w.*, case when w.is_long then (
        with recursive later (xid, number) as (
            (select e.xid, 1 from rowcast.events e
             where (e.room, e.xid) >= (w.room, w.xmax) and e.room <= w.room order by e.room, e.xid limit 1)
            union all
            select (select e.xid from rowcast.events e
                    where (e.room, e.xid) > (w.room, later.xid) and e.room <= w.room order by e.room, e.xid limit 1), number + 1
            from later where later.xid is not null and number <= $10
        )
        select case when count(xid) <= $10 then coalesce(array_agg(xid) filter (where xid is not null), '{}') || w.xip end from later
    ) end as xids
    from measured w
), found as materialized (
    select distinct on (id) id from (
        select e.id from counted w
        cross join lateral (
            select id from (
                select e.id, e.xid from rowcast.events e
                where w.xids is null and (e.room, e.xid) >= (w.room, w.xmax) and e.room <= w.room
                  and e.id + 0 > w.after and e.id + 0 <= w.upto
                union all
                select e.id, e.xid from unnest(w.xip) x (xid) cross join lateral (
                    select id, xid from rowcast.events e
                    where (e.room, e.xid) >= (w.room, x.xid) and (e.room, e.xid) <= (w.room, x.xid)
                    offset 0
                ) e
                where w.xids is null and e.id + 0 > w.after and e.id + 0 <= w.upto
                union all
                select e.id, t.xid from unnest(w.xids) t (xid)
                cross join lateral (
                    select e.id from rowcast.events e
                    where e.room = w.room and e.xid = t.xid and e.id > w.after and e.id <= w.upto
                    order by e.id limit $6 + 1
                ) e
                where pg_visible_in_snapshot(t.xid, w.batch)
                offset 0
            ) e
            where pg_visible_in_snapshot(e.xid, w.batch)
            order by id limit $6 + 1
        ) e
        union all
        select id from rowcast.events where id = any($9)
    ) e
    order by id limit $6 + 1
), sized as (
    select id, pg_column_size(data)::int8 * case when pg_column_compression(data) is null then 1 else 10 end as size
    from found join rowcast.events using (id)
), picked as (
    select id, row_number() over (order by id) as place, sum(size) over (order by id) - size as bytes_before from sized
), present as materialized (",
    database_state_columns!(),
    ")
select present.*, (select count(*) from found) as found,
       (select array_agg(place) from counted where is_long and xids is null) as long, e.*
from present
left join (
    select e.id, xid::text::int8 as xid, event, source, (extract(epoch from at) * 1000000)::int8 as at_us,
           ",
    sendable!("$8"),
    ",
           extract(epoch from clock_timestamp() - at)::float8 as age
    from picked join rowcast.events e using (id)
    where place <= $6 and bytes_before < $7
) e on true
order by e.id"
);

/// What was read, or why not; the same for everybody who shared the read.
pub(crate) type Read = Result<Arc<ReplayPage>, Arc<ReadError>>;

/// A page, and what of it is long.
pub(super) struct PageRead {
    pub(super) page: ReplayPage,
    /// The places of the ranges that have more than a page's events, of many transactions: what is left of one is to be read by ids.
    pub(super) long: Vec<usize>,
}

/// Reads what these rooms got, `limit` events at most.
///
/// # Errors
/// The database's own, and the moment after a crash.
pub(crate) async fn replay_page(
    pool: &Pool,
    ranges: &[RoomRange],
    limit: usize,
    max_payload: usize,
) -> Result<ReplayPage, ReadError> {
    let read = read_page(pool, ranges, &[], limit, max_payload).await?;
    Ok(read.page)
}

/// The same, and the events of these `ids` besides, which are of other ranges.
///
/// # Errors
/// As above.
pub(super) async fn read_page(
    pool: &Pool,
    ranges: &[RoomRange],
    ids: &[i64],
    limit: usize,
    max_payload: usize,
) -> Result<PageRead, ReadError> {
    let limit = limit.min(MAX_EVENTS);
    let texts = |of: fn(&RoomRange) -> Option<&Arc<Snapshot>>| -> Vec<Option<String>> {
        ranges
            .iter()
            .map(|range| of(range).map(|snapshot| snapshot.to_string()))
            .collect()
    };
    let query = sqlx::query(REPLAY_PAGE)
        .bind(
            ranges
                .iter()
                .map(|range| range.room.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(texts(|range| Some(&range.before)))
        .bind(texts(|range| range.batch.as_ref()))
        .bind(ranges.iter().map(|range| range.after).collect::<Vec<_>>())
        .bind(ranges.iter().map(|range| range.upto).collect::<Vec<_>>())
        .bind(limit as i64)
        .bind(MAX_BYTES)
        .bind(i32::try_from(max_payload).unwrap_or(i32::MAX))
        .bind(ids)
        .bind(MAX_TRANSACTIONS);
    let rows = within(pool, PATIENCE, async |connection| {
        query.fetch_all(connection).await
    })
    .await?;
    page_of(&rows)
}

fn page_of(rows: &[PgRow]) -> Result<PageRead, ReadError> {
    // The state of the database is in every row, also where nothing was found.
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (state, durable) = epoch::database_state(first)?;
    let found: i64 = first.try_get("found")?;
    let mut events = Vec::with_capacity(rows.len());
    let (mut read, mut last) = (0, None);
    for row in rows {
        let Some(id) = row.try_get::<Option<i64>, _>("id")? else {
            continue;
        };
        (read, last) = (read + 1, Some(id));
        match row::event(id, row) {
            Ok(event) => events.push(Arc::new(event)),
            Err(why) => tracing::debug!(id, "an event can't be sent and is left out: {why}"),
        }
    }
    let long: Option<Vec<i64>> = first.try_get("long")?;
    let long = long.unwrap_or_default().into_iter();
    Ok(PageRead {
        page: ReplayPage {
            state,
            durable,
            events,
            upto: last.filter(|_| read < found),
        },
        // Postgres counts from 1.
        long: long
            .filter_map(|place| usize::try_from(place - 1).ok())
            .collect(),
    })
}
