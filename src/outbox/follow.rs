//! Reads what was committed since a snapshot: the reader's own connection.
//!
//! Guarantees: one statement sees one snapshot, so each pass yields exactly the events that are visible
//! now and were not at the offset it starts from. A pass is streamed, so its size costs no memory.
//! Holds the advisory key that tells writers "somebody sleeps, notify" while the reader dozes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::value::RawValue;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Decode, Postgres, Row, Type};
use tokio::time::timeout;

use super::prune::grace;
use super::unflushed::{Identity, Log, Resume, Unflushed};
use super::{Database, epoch};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::offset::{BadSnapshot, Offset, Seen, Snapshot};
use crate::reader::{Batch, Sink, Source};

/// Bounds every answer that is waited for: a half-open connection must not hang the reader.
const PATIENCE: Duration = Duration::from_secs(30);
/// A batch is cut at either, so that a large pass is delivered in bounded memory.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// The materialised part keeps the planner on the index over `xid`: without it, `order by id` invites a walk of the
/// whole primary key. `$2` and `$3` finish a pass that broke off: only what that pass saw, after the id it reached.
const READ: &str = "
with fresh as materialized (
    select id, xid, at, room, event, data, source
    from rowcast.events
    where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
       or xid = any(array(select pg_snapshot_xip($1::text::pg_snapshot)))
)
select s.*, e.*
from (
    select coalesce($2::text, pg_current_snapshot()::text) as snapshot,
           (pg_current_wal_insert_lsn() - '0/0')::int8 as written,
           (pg_current_wal_flush_lsn() - '0/0')::int8 as flushed,
           extract(epoch from clock_timestamp())::float8 as now_s,
           (select pruned_xid::text from rowcast.epoch) as pruned
) s
left join (
    select id, room, event, source, (extract(epoch from at) * 1000000)::int8 as at_us,
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

const HEAD: &str = "
select pg_current_snapshot()::text, (pg_current_wal_insert_lsn() - '0/0')::int8, (pg_current_wal_flush_lsn() - '0/0')::int8";

/// A commit that waits for the disk takes along what others have not waited for, so that there is a snapshot to go back to.
const FLUSH: &str = "
begin read write;
set local synchronous_commit = local;
update rowcast.epoch set value = value;
commit";

const DOZE: &str = "select pg_try_advisory_lock_shared(1919903602, 1)";
const ROUSE: &str = "select pg_advisory_unlock_shared(1919903602, 1)";

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
    /// A reader that is away for longer may have missed what was pruned meanwhile.
    away: Duration,
    /// When the last whole pass began, by the database's clock, in seconds: ours may have slept.
    read_at_s: Option<f64>,
}

impl Follow {
    /// A source that connects when it is first asked. Payloads above `max_payload` bytes are reduced to their ids;
    /// events are kept for `retention`.
    pub fn new(
        database: Database,
        max_payload: usize,
        retention: Duration,
        metrics: Metrics,
    ) -> Self {
        Self {
            database,
            max_payload: max_payload.try_into().unwrap_or(i32::MAX),
            metrics,
            connection: None,
            unflushed: Unflushed::default(),
            away: grace(retention) / 2,
            read_at_s: None,
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

    /// A row as an event; `None` where it can't be sent, which is counted and logged, never silent.
    fn event(&self, id: i64, row: &PgRow) -> Option<Event> {
        let unusable = |why: &dyn std::fmt::Display| {
            self.metrics.capture_errors.inc();
            let source = row.try_get::<Option<String>, _>("source").ok().flatten();
            tracing::warn!(id, source, "an event can't be sent and is skipped: {why}");
        };
        let decode = || -> sqlx::Result<_> {
            let room: Option<String> = row.try_get("room")?;
            let name: String = row.try_get("event")?;
            let data: String = row.try_get("data")?;
            let payload = RawValue::from_string(data).map_err(|e| sqlx::Error::Decode(e.into()))?;
            let age: f64 = row.try_get("age")?;
            Ok((room, name, payload, age))
        };
        match decode() {
            Ok((Some(room), name, payload, age)) => Some(Event {
                id,
                room: room.as_str().into(),
                name: name.into(),
                payload,
                age: Duration::try_from_secs_f64(age).unwrap_or_default(),
            }),
            Ok((None, ..)) => {
                unusable(&"it has no room (a column of the room's template is null or gone)");
                None
            }
            Err(e) => {
                unusable(&e);
                None
            }
        }
    }
}

impl Source for Follow {
    type Error = FollowError;

    async fn connect(&mut self, position: &mut Option<Offset>) -> Result<Offset, FollowError> {
        self.connection = None;
        let connect = async {
            let mut connection = self.database.named("rowcast reader").connect().await?;
            let epoch = epoch::current(&mut connection).await?;
            sqlx::raw_sql(SESSION).execute(&mut connection).await?;
            let (seen, written, flushed): (String, i64, i64) =
                sqlx::query_as(HEAD).fetch_one(&mut connection).await?;
            let seen = Arc::new(seen.parse::<Snapshot>()?);
            Ok::<_, FollowError>((connection, epoch, seen, Log { written, flushed }))
        };
        let (mut connection, epoch, seen, log) = timeout(PATIENCE, connect).await??;
        let resume = match position {
            Some(position) if position.epoch == epoch => self.unflushed.lost(),
            _ => Resume::Nowhere,
        };
        match (resume, position) {
            (Resume::Back(safe), Some(position)) => position.seen = Seen::All(safe),
            (Resume::Nowhere, position) => {
                *position = None;
                let flush = sqlx::raw_sql(FLUSH).execute(&mut connection);
                timeout(PATIENCE, flush).await??;
                let flushed = log.written;
                self.unflushed = Unflushed::default();
                self.unflushed.begin(Log { flushed, ..log }, false);
                self.unflushed.end(&seen);
            }
            _ => {}
        }
        self.connection = Some(connection);
        let head = Offset {
            epoch,
            seen: Seen::All(seen),
        };
        Ok(head)
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
        let (upto, after) = finish.map_or((None, 0), |(batch, id)| (Some(batch), id));
        let finishing = upto.is_some();
        let query = sqlx::query(READ)
            .bind(before.to_string())
            .bind(upto)
            .bind(after)
            .bind(self.max_payload);
        let mut total = 0;
        let mut rows = query.fetch(&mut connection);
        let mut pass: Option<Batch> = None;
        let mut bytes = 0;
        let (mut now_s, mut missed) = (None, false);
        while let Some(row) = timeout(PATIENCE, rows.try_next()).await?? {
            if pass.is_none() {
                let snapshot = Arc::new(row.try_get::<String, _>("snapshot")?.parse()?);
                let log = Log {
                    written: row.try_get("written")?,
                    flushed: row.try_get("flushed")?,
                };
                self.unflushed.begin(log, finishing);
                let (now, away): (f64, f64) = (row.try_get("now_s")?, self.away.as_secs_f64());
                let pruned: Option<String> = row.try_get("pruned")?;
                missed = self.read_at_s.is_some_and(|last| now - last >= away)
                    && pruned.is_some_and(|xid| xid.parse().is_ok_and(|xid| before.xmin() <= xid));
                now_s = Some(now);
                pass = Some(Batch::new(position.epoch, before.clone(), snapshot));
            }
            let Some(batch) = &mut pass else {
                continue;
            };
            // A batch is handed on only when a row follows it, so that the last one is known to be the last.
            if batch.events.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES {
                let full = batch.split();
                *position = full.end();
                self.unflushed.handed_on();
                sink.deliver(full).await;
                bytes = 0;
            }
            let Some(id) = row.try_get::<Option<i64>, _>("id")? else {
                continue;
            };
            let Some(event) = self.event(id, &row) else {
                continue;
            };
            let identity = Identity {
                id,
                at_us: row.try_get("at_us")?,
            };
            if self.unflushed.deliver(identity, &event.room) {
                bytes += event.payload.get().len();
                batch.events.push(event);
                total += 1;
            }
        }
        if let Some(mut last) = pass {
            last.complete = true;
            *position = last.end();
            self.unflushed.handed_on();
            let undone = self.unflushed.end(&last.snapshot);
            if !last.events.is_empty() || last.snapshot != before {
                sink.deliver(last).await;
            }
            if !undone.is_empty() {
                tracing::warn!(
                    rooms = undone.len(),
                    "a crash of Postgres undid events that were delivered"
                );
                sink.resync(undone).await;
            }
            if missed {
                tracing::warn!(
                    "the reader was away for so long that it may have missed pruned events"
                );
                sink.restart(position.clone(), "events were pruned unread")
                    .await;
            }
            self.read_at_s = now_s;
        }
        drop(rows);
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
