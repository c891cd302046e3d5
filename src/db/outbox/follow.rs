//! The reader's own connection to the outbox: what was committed since a snapshot.
//!
//! Guarantees: one statement sees one snapshot, so each read yields exactly the events that are visible now and were not
//! at the offset it starts from. A read is pulled in parts (`reading`), so its size costs no memory.
//! Owns the advisory key by which writers know that a reader sleeps and must be notified: it is held from `enable_notify` to
//! `disable_notify`, or until the connection ends. It is never taken on a connection that goes through a pooler.
//! Relies on the caller to connect anew after every error: a read that broke off leaves a connection that nobody may use.

mod connected;
mod large;
mod leading;
mod reading;
mod revocations;
mod skipped;

pub(crate) use reading::{LogPosition, ReadPart};

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use sqlx::{Connection as _, Decode, Postgres, Type};
use tokio::time::timeout;

use super::epoch;
use crate::db::Database;
use crate::db::backend::Backend;
use crate::db::fault::cause_of;
use crate::db::link::{Link, scoped};
use crate::db::numbers::sleeping_reader_key;
use crate::db::read_error::ReadError;
use crate::metrics::Metrics;
use crate::offset::{BadSnapshot, Epoch, Seen, Snapshot};
use connected::{Connected, SETTINGS};
use reading::Reading;
use skipped::Skipped;

/// The longest wait for an answer: a half-open connection must not hang the reader.
const PATIENCE: Duration = Duration::from_secs(30);
/// A read of more events, or of more bytes as they are stored, yields none of them if it may be large: handing them over would
/// keep what comes after them waiting.
const LARGE_EVENTS: i64 = 10_000;
const LARGE_BYTES: i64 = 32 * 1024 * 1024;
/// Counts the transactions that have written an event and are not over. Each of them may have tested the key while no reader
/// held it, and then notifies nobody.
const WRITERS: &str = "
select count(*) from pg_locks
where locktype = 'relation' and mode = 'RowExclusiveLock' and granted
  and relation = 'rowcast.events'::regclass
  and database = (select oid from pg_database where datname = current_database())";

const HEAD: &str =
    "select pg_current_snapshot()::text, (pg_current_wal_insert_lsn() - '0/0')::int8";
const HEAD_BLINDLY: &str = "select pg_current_snapshot()::text, 0::int8";
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

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The database refused, or the connection is gone.
    #[error("{}", cause_of(.0))]
    Database(#[from] sqlx::Error),
    /// No answer within the bound.
    #[error("no answer from Postgres within {} s", PATIENCE.as_secs())]
    Silent(#[from] tokio::time::error::Elapsed),
    /// Postgres said something that is no snapshot.
    #[error(transparent)]
    Snapshot(#[from] BadSnapshot),
    /// Offsets of before are worth nothing.
    #[error(
        "a dump was restored into this database, or its outbox was truncated: everybody loads again"
    )]
    Replaced,
}

impl From<ReadError> for FollowError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => Self::Database(error),
            ReadError::Snapshot(error) => Self::Snapshot(error),
            ReadError::Recovering => Self::Database(sqlx::Error::WorkerCrashed),
        }
    }
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
    connection: Option<Connected>,
    skipped: Skipped,
    /// For a read's first row.
    patience: Duration,
    /// What the database does not tell is said once.
    refusals_said: bool,
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
            refusals_said: false,
        }
    }

    /// Connects anew, and says where the database is.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn connect(&mut self) -> Result<Head, FollowError> {
        self.connection = None;
        let (connected, head, refused) = timeout(PATIENCE, self.find_head()).await??;
        if !refused.is_empty() && !std::mem::replace(&mut self.refusals_said, true) {
            tracing::warn!(
                "Postgres does not let us call {}: all is exact but for this, that after a crash of the database, and where one of \
                 its copies can't be told from it, clients load everything again",
                refused.join(", ")
            );
        }
        // Whatever was opened before leads, perhaps, to where the reader was.
        self.database.link.distrust();
        self.connection = Some(connected);
        Ok(head)
    }

    async fn find_head(&self) -> Result<(Connected, Head, Vec<&'static str>), FollowError> {
        let (mut connection, link) = self.database.open("rowcast reader", SETTINGS).await?;
        let current = epoch::current(&mut connection, link, SETTINGS).await?;
        let head = if current.tells_log {
            HEAD
        } else {
            HEAD_BLINDLY
        };
        let find =
            async |connection: &mut Backend<'_>| sqlx::query_as(head).fetch_one(connection).await;
        let (seen, log_written): (String, i64) =
            scoped(&mut connection, link, SETTINGS, find).await?;
        sqlx::raw_sql(FLUSH).execute(&mut connection).await?;
        let connected = Connected {
            connection,
            link,
            epoch: current.value,
            tells_log: current.tells_log,
        };
        let head = Head {
            epoch: current.epoch,
            recovered: current.recovered.into(),
            snapshot: Arc::new(seen.parse()?),
            log_written,
        };
        Ok((connected, head, current.refused))
    }

    /// Reads everything that `from` misses, in at least one part. A batch that `from` is in the middle of is finished
    /// under its own snapshot, and nothing else is read then. With `may_be_large` a read that finds very much yields one part
    /// that says so, without an event.
    pub(crate) fn read<'a>(
        &'a mut self,
        from: &Seen,
        may_be_large: bool,
    ) -> BoxStream<'a, Result<ReadPart, FollowError>> {
        let Some(connected) = &mut self.connection else {
            return stream::once(ready(Err(sqlx::Error::WorkerCrashed.into()))).boxed();
        };
        let reading = Reading {
            epoch: connected.epoch,
            rows: connected.rows(from, self.max_payload, may_be_large),
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
        if self.is_pooled() {
            // The key would stay on a backend that others get: there are no notifications, and the poll delivers.
            return Ok(true);
        }
        self.ask(ENABLE_NOTIFY).await
    }

    /// Gives the key back: writers notify nobody from now on.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn disable_notify(&mut self) -> Result<(), FollowError> {
        if self.is_pooled() {
            return Ok(());
        }
        self.ask::<bool>(DISABLE_NOTIFY).await.map(|_| ())
    }

    /// How many transactions have written events and are not over. Each of them may have tested the key too early.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn writers(&mut self) -> Result<i64, FollowError> {
        if self.is_pooled() {
            // None of them can have tested a key that nobody takes.
            return Ok(0);
        }
        self.ask(WRITERS).await
    }

    /// Ends the connection.
    pub(crate) async fn close(&mut self) {
        if let Some(Connected { connection, .. }) = self.connection.take() {
            // Postgres notices by itself when the socket closes; the bound is for a half-open connection.
            let _ = timeout(Duration::from_secs(1), connection.close()).await;
        }
    }

    fn is_pooled(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connected| connected.link == Link::Pooled)
    }

    /// A question with one answer.
    async fn ask<T>(&mut self, sql: &'static str) -> Result<T, FollowError>
    where
        T: Send + Unpin + Type<Postgres> + for<'r> Decode<'r, Postgres>,
    {
        let connected = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        let asked = sqlx::query_scalar(sql).fetch_one(&mut connected.connection);
        Ok(timeout(PATIENCE, asked).await??)
    }
}
