//! The reader's connection, and the statement by which it reads.

use futures_util::stream::BoxStream;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgRow};

use super::{LARGE_BYTES, LARGE_EVENTS};
use crate::db::link::{Link, Settings, begin};
use crate::db::outbox::sendable::sendable;
use crate::db::rights::hides_rows;
use crate::offset::Seen;

/// Reads what is visible now and not visible in the snapshot `$1`. The materialised part makes the planner use the index over
/// `xid`; without it, `order by id` makes the planner walk the whole primary key. `$2` and `$3` are given to finish a read that
/// broke off: then only what that read saw is read, after the id that it reached.
///
/// Of more than `$5` events, or `$6` bytes as they are stored, none is answered, and the answer says so (`is_large`); null sets no
/// bound. They are looked up once, `$5` and one more at most; what is stored beside the table is not read for that. A transaction that was
/// in progress and still is, is not looked up: it may have written a million rows.
///
/// Each server reads each event, so what an event costs here counts as often. `date_part` is a float8, exact to the microsecond in our
/// days; `extract` would calculate with numerics, which is a fifth of what a row costs.
macro_rules! read {
    ($log:literal) => {
        concat!(
            "
with ended as materialized (
    select array(
        select x from pg_snapshot_xip($1::text::pg_snapshot) x where pg_visible_in_snapshot(x, pg_current_snapshot())
    ) as xids
), fresh as materialized (
    select id, xid, at, room, event, data, source, sync, traceparent
    from rowcast.events
    where xid >= pg_snapshot_xmax($1::text::pg_snapshot) and xid < pg_snapshot_xmax(pg_current_snapshot())
       or xid = any((select xids from ended)::xid8[])
    limit $5::int8 + 1
), large as materialized (
    select count(*) > $5::int8 or sum(pg_column_size(data)) > $6::int8 as is_large from fresh where $5::int8 is not null
)
select s.*, e.*
from (
    select coalesce($2::text, pg_current_snapshot()::text) as snapshot,
           ",
            $log,
            ",
           (select value from rowcast.epoch) as epoch,
           (select pruned::text from rowcast.epoch) as pruned,
           (select removed::text from rowcast.epoch) as removed,
           (select is_large from large) is true as is_large,
           pg_is_in_recovery() as standby,
           ",
            hides_rows!("'rowcast.events'::regclass"),
            " as hidden,
           exists (select from rowcast.events where xid >= pg_snapshot_xmax(pg_current_snapshot())) as has_foreign
) s
left join (
    select id, xid::text::int8 as xid, event, source, sync, traceparent, (date_part('epoch', at) * 1000000)::int8 as at_us,
           ",
    sendable!("$4"),
    ",
           date_part('epoch', clock_timestamp() - at) as age
    from fresh
    where (select is_large from large) is not true
      and ($2::text is null or (id > $3 and pg_visible_in_snapshot(xid, $2::text::pg_snapshot)))
) e on true
order by e.id"
        )
    };
}
const READ: &str = read!(
    "(pg_current_wal_insert_lsn() - '0/0')::int8 as written,
           (pg_current_wal_flush_lsn() - '0/0')::int8 as flushed"
);
/// Where the service does not say how far the log is.
const READ_BLINDLY: &str = read!("0::int8 as written, (-1)::int8 as flushed");

/// Each statement is planned once, and never as a sequential scan of the outbox. As everywhere, its reads are never serializable,
/// or writers who are would fail for what they have read of each other's.
pub(super) const SETTINGS: Settings = Settings {
    local: &[
        ("enable_seqscan", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("statement_timeout", "0"),
    ],
    read_only: false,
};

/// A connection, and what was found out about it.
pub(super) struct Connected {
    pub(super) connection: PgConnection,
    pub(super) link: Link,
    /// The epoch's value. Another one in a read is another life of the database.
    pub(super) epoch: i64,
    /// Whether the database says how far its log is on disk.
    pub(super) tells_log: bool,
}

impl Connected {
    /// The rows of a read. Over a pooler it is one message of the simple protocol, with its transaction and its settings, so that
    /// the pooler has the backend again as soon as the last row is read.
    pub(super) fn rows<'a>(
        &'a mut self,
        from: &Seen,
        max_payload: i32,
        may_be_large: bool,
    ) -> BoxStream<'a, sqlx::Result<PgRow>> {
        let (before, batch, after) = match from {
            Seen::All(before) => (before.to_string(), None, 0),
            Seen::Part { before, batch, id } => (before.to_string(), Some(batch.to_string()), *id),
        };
        let read = if self.tells_log { READ } else { READ_BLINDLY };
        let large_events = may_be_large.then_some(LARGE_EVENTS);
        if self.link == Link::Direct {
            return sqlx::query(read)
                .bind(before)
                .bind(batch)
                .bind(after)
                .bind(max_payload)
                .bind(large_events)
                .bind(LARGE_BYTES)
                .fetch(&mut self.connection);
        }
        // Numbers, colons and commas: nothing in them has to be quoted.
        let batch = batch.map_or_else(|| "null".to_owned(), |batch| format!("'{batch}'"));
        let large_events = large_events.map_or_else(|| "null".to_owned(), |most| most.to_string());
        let read = read
            .replace("$1", &format!("'{before}'"))
            .replace("$2", &batch)
            .replace("$3", &format!("({after})"))
            .replace("$4", &max_payload.to_string())
            .replace("$5", &large_events)
            .replace("$6", &LARGE_BYTES.to_string());
        let begin = begin(SETTINGS);
        sqlx::raw_sql(AssertSqlSafe(format!("{begin}; {read}; commit"))).fetch(&mut self.connection)
    }
}
