//! The reader's own connection to the outbox: what was committed since a snapshot.
//!
//! Guarantees: one statement sees one snapshot, so each read yields exactly the events that are visible now and were not
//! at the offset it starts from. A read is pulled in parts (`reading`), so its size costs no memory.
//! Owns the advisory key by which writers know that a reader sleeps and must be notified: it is held from `enable_notify` to
//! `disable_notify`, or until the connection ends.
//! Relies on the caller to connect anew after every error: a read that broke off leaves a connection that nobody may use.

mod large;
mod reading;
mod skipped;

pub(crate) use reading::{LogPosition, ReadPart};

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _, Decode, Postgres, Type};
use tokio::time::timeout;

use super::epoch;
use crate::db::Database;
use crate::db::numbers::sleeping_reader_key;
use crate::metrics::Metrics;
use crate::offset::{BadSnapshot, Epoch, Seen, Snapshot};
use reading::Reading;
use skipped::Skipped;

/// The longest wait for an answer: a half-open connection must not hang the reader.
const PATIENCE: Duration = Duration::from_secs(30);
/// A read of more events, or of more bytes as they are stored, yields none of them if it may be large: handing them over would
/// keep what comes after them waiting.
const LARGE_EVENTS: i64 = 10_000;
const LARGE_BYTES: i64 = 32 * 1024 * 1024;

/// Reads what is visible now and not visible in the snapshot `$1`. The materialised part makes the planner use the index over
/// `xid`; without it, `order by id` makes the planner walk the whole primary key. `$2` and `$3` are given to finish a read that
/// broke off: then only what that read saw is read, after the id that it reached.
///
/// Of more than `$5` events, or `$6` bytes as they are stored, none is read, and the answer says so (`is_large`); null sets no
/// bound. A transaction that was in progress and still is, is not looked up: it may have written a million rows.
const READ: &str = "
with ended as materialized (
    select array(
        select x from pg_snapshot_xip($1::text::pg_snapshot) x where pg_visible_in_snapshot(x, pg_current_snapshot())
    ) as xids
), large as materialized (
    select count(*) > $5::int8 or sum(size) > $6::int8 as is_large
    from (
        (select pg_column_size(data) as size from rowcast.events
         where $5::int8 is not null and xid >= pg_snapshot_xmax($1::text::pg_snapshot)
           and xid < pg_snapshot_xmax(pg_current_snapshot())
         limit $5::int8 + 1)
        union all
        (select pg_column_size(data) from rowcast.events
         where $5::int8 is not null and xid = any((select xids from ended)::xid8[])
         limit $5::int8 + 1)
    ) found
), fresh as materialized (
    select id, xid, at, room, event, data, source, sync
    from rowcast.events
    where (xid >= pg_snapshot_xmax($1::text::pg_snapshot) and xid < pg_snapshot_xmax(pg_current_snapshot())
           or xid = any((select xids from ended)::xid8[]))
      and (select is_large from large) is not true
)
select s.*, e.*
from (
    select coalesce($2::text, pg_current_snapshot()::text) as snapshot,
           (pg_current_wal_insert_lsn() - '0/0')::int8 as written,
           (pg_current_wal_flush_lsn() - '0/0')::int8 as flushed,
           (select pruned::text from rowcast.epoch) as pruned,
           (select is_large from large) is true as is_large
) s
left join (
    select id, xid::text::int8 as xid, room, event, source, sync, (extract(epoch from at) * 1000000)::int8 as at_us,
           case when octet_length(data::text) > $4 then rowcast.truncate_payload(data)::text else data::text end as data,
           extract(epoch from clock_timestamp() - at)::float8 as age
    from fresh
    where $2::text is null or (id > $3 and pg_visible_in_snapshot(xid, $2::text::pg_snapshot))
) e on true
order by e.id";

/// Counts the transactions that have written an event and are not over. Each of them may have tested the key while no reader
/// held it, and then notifies nobody.
const WRITERS: &str = "
select count(*) from pg_locks
where locktype = 'relation' and mode = 'RowExclusiveLock' and granted
  and relation = 'rowcast.events'::regclass
  and database = (select oid from pg_database where datname = current_database())";

const HEAD: &str =
    "select pg_current_snapshot()::text, (pg_current_wal_insert_lsn() - '0/0')::int8";
/// A commit that waits for the disk, and so for every commit before it: a crash can no longer undo what `HEAD` saw.
const FLUSH: &str = "
begin read write;
set local synchronous_commit = local;
update rowcast.epoch set only_row = true;
commit";

const ENABLE_NOTIFY: &str = concat!(
    "select pg_try_advisory_lock_shared(",
    sleeping_reader_key!(),
    ")"
);
const DISABLE_NOTIFY: &str = concat!(
    "select pg_advisory_unlock_shared(",
    sleeping_reader_key!(),
    ")"
);

/// Settings of the reader's connection: each statement is planned once, and never as a sequential scan of the outbox. Its reads
/// are never serializable, or writers who are would fail for what they have read of each other's.
const SESSION: &str = "
set enable_seqscan = off;
set plan_cache_mode = force_generic_plan;
set jit = off;
set statement_timeout = 0;
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = on";

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The database refused, or the connection is gone.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// No answer within the bound.
    #[error("no answer from Postgres within {} s", PATIENCE.as_secs())]
    Silent(#[from] tokio::time::error::Elapsed),
    /// Postgres said something that is no snapshot.
    #[error(transparent)]
    Snapshot(#[from] BadSnapshot),
}

/// Where the database is when the reader connects.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The database's life.
    pub epoch: Epoch,
    /// The next transaction id after each crash that is known of.
    pub recovered: Arc<[u64]>,
    /// What is visible; all of it is on disk.
    pub snapshot: Arc<Snapshot>,
    /// How far Postgres's write-ahead log was written.
    pub log_written: i64,
}

/// The outbox, read from an offset on.
pub(crate) struct Follow {
    database: Database,
    max_payload: i32,
    metrics: Metrics,
    connection: Option<PgConnection>,
    skipped: Skipped,
    /// For a read's first row.
    patience: Duration,
}

impl Follow {
    /// Connects when it is first asked to. Payloads above `max_payload` bytes are reduced to their ids.
    pub(crate) fn new(database: Database, max_payload: usize, metrics: Metrics) -> Self {
        Self {
            database,
            max_payload: max_payload.try_into().unwrap_or(i32::MAX),
            metrics,
            connection: None,
            skipped: Skipped::default(),
            patience: PATIENCE,
        }
    }

    /// Connects anew, and says where the database is.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn connect(&mut self) -> Result<Head, FollowError> {
        self.connection = None;
        let connect = async {
            let mut connection = self.database.named("rowcast reader").connect().await?;
            let (epoch, recovered) = epoch::current(&mut connection).await?;
            let (seen, log_written): (String, i64) =
                sqlx::query_as(HEAD).fetch_one(&mut connection).await?;
            sqlx::raw_sql(FLUSH).execute(&mut connection).await?;
            sqlx::raw_sql(SESSION).execute(&mut connection).await?;
            let head = Head {
                epoch,
                recovered: recovered.into(),
                snapshot: Arc::new(seen.parse()?),
                log_written,
            };
            Ok::<_, FollowError>((connection, head))
        };
        let (connection, head) = timeout(PATIENCE, connect).await??;
        self.connection = Some(connection);
        Ok(head)
    }

    /// Reads everything that `from` misses, in at least one part. A batch that `from` is in the middle of is finished
    /// under its own snapshot, and nothing else is read then. With `may_be_large` a read that finds very much yields one part
    /// that says so, without an event.
    pub(crate) fn read<'a>(
        &'a mut self,
        from: &Seen,
        may_be_large: bool,
    ) -> BoxStream<'a, Result<ReadPart, FollowError>> {
        let Some(connection) = &mut self.connection else {
            return stream::once(ready(Err(sqlx::Error::WorkerCrashed.into()))).boxed();
        };
        let (before, begun) = match from {
            Seen::All(before) => (before, None),
            Seen::Part { before, batch, id } => (before, Some((batch.to_string(), *id))),
        };
        let (batch, after) = begun.map_or((None, 0), |(batch, id)| (Some(batch), id));
        let query = sqlx::query(READ)
            .bind(before.to_string())
            .bind(batch)
            .bind(after)
            .bind(self.max_payload)
            .bind(may_be_large.then_some(LARGE_EVENTS))
            .bind(LARGE_BYTES);
        let reading = Reading {
            rows: query.fetch(connection),
            next: None,
            patience: &mut self.patience,
            metrics: &self.metrics,
            skipped: &mut self.skipped,
        };
        stream::try_unfold(Some(reading), async |reading| {
            let Some(mut reading) = reading else {
                return Ok(None);
            };
            let part = reading.part().await?;
            let rest = (!part.complete).then_some(reading);
            Ok(Some((part, rest)))
        })
        .boxed()
    }

    /// Takes the key, which asks writers to notify from now on. False: the key can't be had right now.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn enable_notify(&mut self) -> Result<bool, FollowError> {
        self.ask(ENABLE_NOTIFY).await
    }

    /// Gives the key back: writers notify nobody from now on.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn disable_notify(&mut self) -> Result<(), FollowError> {
        self.ask::<bool>(DISABLE_NOTIFY).await.map(|_| ())
    }

    /// How many transactions have written events and are not over. Each of them may have tested the key too early.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn writers(&mut self) -> Result<i64, FollowError> {
        self.ask(WRITERS).await
    }

    /// Ends the connection.
    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Postgres notices by itself when the socket closes; the bound is for a half-open connection.
            let _ = timeout(Duration::from_secs(1), connection.close()).await;
        }
    }

    /// A question with one answer.
    async fn ask<T>(&mut self, sql: &'static str) -> Result<T, FollowError>
    where
        T: Send + Unpin + Type<Postgres> + for<'r> Decode<'r, Postgres>,
    {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        Ok(timeout(PATIENCE, sqlx::query_scalar(sql).fetch_one(connection)).await??)
    }
}
