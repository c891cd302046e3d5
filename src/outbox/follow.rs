//! Reads what was committed since a snapshot: the reader's own connection.
//!
//! Guarantees: one statement sees one snapshot, so each pass yields exactly the events that are visible
//! now and were not at the offset it starts from. A pass is streamed, so its size costs no memory.
//! Holds the advisory key that tells writers "somebody sleeps, notify" while the reader dozes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Decode, Postgres, Row, Type};
use tokio::time::timeout;

use super::row::{self, Unusable};
use super::unflushed::{Identity, Log, Resume, Unflushed};
use super::{Database, epoch};
use crate::metrics::Metrics;
use crate::offset::{BadSnapshot, Offset, Seen, Snapshot};
use crate::reader::{Affected, Batch, Sink, Source};

/// Bounds every answer that is waited for: a half-open connection must not hang the reader.
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_PATIENCE: Duration = Duration::from_secs(960);
/// A batch is cut at either, so that a large pass is delivered in bounded memory.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// The materialised part keeps the planner on the index over `xid`: without it, `order by id` invites a walk of the
/// whole primary key. `$2` and `$3` finish a pass that broke off: only what that pass saw, after the id it reached.
const READ: &str = "
with fresh as materialized (
    select id, xid, at, room, event, data, source, sync
    from rowcast.events
    where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
       or xid = any(array(select pg_snapshot_xip($1::text::pg_snapshot)))
)
select s.*, e.*
from (
    select coalesce($2::text, pg_current_snapshot()::text) as snapshot,
           (pg_current_wal_insert_lsn() - '0/0')::int8 as written,
           (pg_current_wal_flush_lsn() - '0/0')::int8 as flushed,
           (select pruned::text from rowcast.epoch) as pruned
) s
left join (
    select id, xid::text::int8 as xid, room, event, source, sync, (extract(epoch from at) * 1000000)::int8 as at_us,
           case when octet_length(data::text) > $4 then rowcast.truncate_payload(data)::text else data::text end as data,
           extract(epoch from clock_timestamp() - at)::float8 as age
    from fresh
    where $2::text is null or (id > $3 and pg_visible_in_snapshot(xid, $2::text::pg_snapshot))
) e on true
order by e.id";

/// The transactions that have written an event and are not over: each may have looked for a sleeping reader while none slept.
const WRITERS: &str = "
select count(*) from pg_locks
where locktype = 'relation' and mode = 'RowExclusiveLock' and granted
  and relation = 'rowcast.events'::regclass
  and database = (select oid from pg_database where datname = current_database())";

const HEAD: &str =
    "select pg_current_snapshot()::text, (pg_current_wal_insert_lsn() - '0/0')::int8";
/// A commit that waits for its flush, and so for that of all before it: what HEAD saw can't be undone any more.
const FLUSH: &str = "
begin;
set local synchronous_commit = local;
update rowcast.epoch set only_row = true;
commit";

const DOZE: &str = concat!(
    "select pg_try_advisory_lock_shared(",
    sleeping_reader_key!(),
    ")"
);
const ROUSE: &str = concat!(
    "select pg_advisory_unlock_shared(",
    sleeping_reader_key!(),
    ")"
);

/// The reader's session. One statement at a time, planned once, never a sequential scan of the outbox.
const SESSION: &str = "
set enable_seqscan = off;
set plan_cache_mode = force_generic_plan;
set jit = off;
set statement_timeout = 0;
set default_transaction_read_only = on";

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
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

/// The outbox, read from an offset on.
pub struct Follow {
    database: Database,
    max_payload: i32,
    metrics: Metrics,
    connection: Option<PgConnection>,
    unflushed: Unflushed,
    /// Whether everything that was read is on disk.
    durable: bool,
    /// For a pass's first row.
    patience: Duration,
}

impl Follow {
    /// A source that connects when it is first asked. Payloads above `max_payload` bytes are reduced to their ids.
    pub fn new(database: Database, max_payload: usize, metrics: Metrics) -> Self {
        Self {
            database,
            max_payload: max_payload.try_into().unwrap_or(i32::MAX),
            metrics,
            connection: None,
            unflushed: Unflushed::default(),
            durable: false,
            patience: PATIENCE,
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

    /// Leaves an event out: counted and logged, never silent.
    fn skip(&self, id: i64, row: &PgRow, why: &Unusable) {
        self.metrics.capture_errors.inc();
        tracing::warn!(
            id,
            source = row::source(row),
            "an event can't be sent and is skipped: {why}"
        );
    }

    /// Hands a batch on, and moves the position past it.
    async fn hand_on(&mut self, batch: Batch, position: &mut Offset, sink: &mut impl Sink) {
        *position = batch.end();
        self.unflushed.handed_on();
        sink.deliver(batch).await;
    }
}

impl Source for Follow {
    type Error = FollowError;

    async fn connect(&mut self, position: &mut Option<Offset>) -> Result<Offset, FollowError> {
        self.connection = None;
        let connect = async {
            let mut connection = self.database.named("rowcast reader").connect().await?;
            let epoch = epoch::current(&mut connection).await?;
            let (seen, written): (String, i64) =
                sqlx::query_as(HEAD).fetch_one(&mut connection).await?;
            sqlx::raw_sql(FLUSH).execute(&mut connection).await?;
            sqlx::raw_sql(SESSION).execute(&mut connection).await?;
            let seen = Arc::new(seen.parse::<Snapshot>()?);
            Ok::<_, FollowError>((connection, epoch, seen, written))
        };
        let (connection, epoch, seen, written) = timeout(PATIENCE, connect).await??;
        self.connection = Some(connection);
        let resume = match position {
            // No crash came between: what was seen is there still.
            Some(position) if position.epoch == epoch => Resume::Here,
            Some(position) if position.epoch.value == epoch.value => {
                position.epoch = epoch;
                self.unflushed.lost()
            }
            _ => Resume::Nowhere,
        };
        match (resume, &mut *position) {
            (Resume::Back(safe), Some(position)) => {
                *position = Offset::all(epoch, true, safe);
                self.durable = true;
            }
            (Resume::Nowhere, _) => {
                *position = None;
                self.unflushed = Unflushed::default();
                let flushed = written;
                self.unflushed.begin(Log { written, flushed }, false);
                self.unflushed.end(&seen);
                self.durable = true;
            }
            _ => {}
        }
        Ok(Offset::all(epoch, true, seen))
    }

    async fn read(
        &mut self,
        position: &mut Offset,
        sink: &mut impl Sink,
    ) -> Result<usize, FollowError> {
        // Taken, not borrowed: a read that fails half-way leaves a connection nobody may use.
        let mut connection = self.connection.take().ok_or(sqlx::Error::WorkerCrashed)?;
        let (before, finish) = match &position.seen {
            Seen::All(before) => (before.clone(), None),
            Seen::Part { before, batch, id } => (before.clone(), Some((batch.to_string(), *id))),
        };
        let finishing = finish.is_some();
        let (upto, after) = finish.map_or((None, 0), |(batch, id)| (Some(batch), id));
        let query = sqlx::query(READ)
            .bind(before.to_string())
            .bind(upto)
            .bind(after)
            .bind(self.max_payload);
        let mut total = 0;
        let mut rows = query.fetch(&mut connection);
        let mut pass: Option<Batch> = None;
        let mut bytes = 0;
        // Longer after each pass that took too long to begin: sorting millions of events would never come to its end.
        let begun = timeout(self.patience, rows.try_next()).await;
        self.patience = match begun {
            Ok(_) => PATIENCE,
            Err(_) => (self.patience * 2).min(MOST_PATIENCE),
        };
        let mut next = begun??;
        while let Some(row) = next {
            if pass.is_none() {
                let snapshot = Arc::new(row.try_get::<String, _>("snapshot")?.parse()?);
                let log = Log {
                    written: row.try_get("written")?,
                    flushed: row.try_get("flushed")?,
                };
                self.unflushed.begin(log, finishing);
                if let Some(pruned) = row.try_get::<Option<String>, _>("pruned")?
                    && !before.covers(&pruned.parse()?)
                {
                    sink.resync(
                        Affected::All,
                        "events were pruned before this server had read them",
                    )
                    .await;
                }
                self.durable |= self.unflushed.is_flushed();
                pass = Some(Batch::new(
                    position.epoch,
                    self.durable,
                    before.clone(),
                    snapshot,
                ));
            }
            let batch = pass.as_mut().expect("the pass has begun");
            // A batch is handed on only when a row follows it, so that the last one is known to be the last.
            if batch.events.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES {
                let full = batch.split();
                self.hand_on(full, position, sink).await;
                bytes = 0;
            }
            let id: Option<i64> = row.try_get("id")?;
            if id.is_some() && !row.try_get::<bool, _>("sync")? {
                self.durable &= self.unflushed.is_flushed();
                batch.durable = self.durable;
            }
            match id.map(|id| (id, row::event(id, &row))) {
                Some((id, Ok(event)))
                    if self.unflushed.deliver(
                        Identity {
                            id,
                            at_us: event.at_us,
                        },
                        &event.room,
                    ) =>
                {
                    bytes += event.payload.get().len();
                    batch.events.push(Arc::new(event));
                    total += 1;
                }
                Some((id, Err(why))) => self.skip(id, &row, &why),
                Some((_, Ok(_))) | None => {}
            }
            next = timeout(PATIENCE, rows.try_next()).await??;
        }
        drop(rows);
        if let Some(mut last) = pass {
            last.complete = true;
            let snapshot = last.snapshot.clone();
            if last.events.is_empty() && snapshot == before {
                *position = last.end();
            } else {
                self.hand_on(last, position, sink).await;
            }
            let undone = self.unflushed.end(&snapshot);
            if !undone.is_empty() {
                sink.resync(
                    Affected::Rooms(undone),
                    "a crash of the database undid what was delivered",
                )
                .await;
            }
        }
        self.connection = Some(connection);
        Ok(total)
    }

    async fn doze(&mut self) -> Result<bool, FollowError> {
        self.ask(DOZE).await
    }

    async fn rouse(&mut self) -> Result<(), FollowError> {
        self.ask::<bool>(ROUSE).await.map(|_| ())
    }

    async fn writers(&mut self) -> Result<i64, FollowError> {
        self.ask(WRITERS).await
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Postgres ends the session by itself when the socket closes; the bound is for a half-open one.
            let _ = timeout(Duration::from_secs(1), connection.close()).await;
        }
    }
}
