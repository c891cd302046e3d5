//! One read of the outbox that is under way: its rows, cut into parts.
//!
//! Guarantees that a part is marked as complete only if no row follows it, and that no part is larger than a bound.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, TryStreamExt as _};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::time::timeout;

use super::skipped::Skipped;
use super::{FollowError, PATIENCE};
use crate::db::link::STANDBY;
use crate::db::outbox::epoch::{HIDDEN, removed_events};
use crate::db::outbox::row::{self, Unusable};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::offset::Snapshot;

/// The longest wait for the first row of a read.
const MAX_PATIENCE: Duration = Duration::from_secs(960);
/// A part is cut at either, so that a large read is delivered in bounded memory.
const PART_EVENTS: usize = 256;
const PART_BYTES: usize = 1024 * 1024;

/// Positions in Postgres's write-ahead log (`pg_lsn` as a number) at the moment of a read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogPosition {
    /// How far the log is written.
    pub written: i64,
    /// How far the log is on disk; negative where the database does not tell.
    pub flushed: i64,
}

impl LogPosition {
    /// Whether everything that was written is on disk.
    pub(crate) fn is_flushed(self) -> bool {
        self.written <= self.flushed
    }

    /// Whether the database tells it.
    pub(crate) fn is_told(self) -> bool {
        self.flushed >= 0
    }
}

/// A part of what one read found.
#[derive(Debug)]
pub(crate) struct ReadPart {
    /// What the read sees: the same in all of its parts.
    pub snapshot: Arc<Snapshot>,
    /// Where Postgres's log was; the same in all parts.
    pub log: LogPosition,
    /// Every event that was ever pruned was visible in this snapshot.
    pub pruned: Option<Snapshot>,
    /// Ordered by id. An event that can't be sent is left out.
    pub events: Vec<Arc<Event>>,
    /// Whether every event of the part was on disk when it became visible.
    pub synced: bool,
    /// Whether the read ends with this part.
    pub complete: bool,
    /// Whether the read found so much that it has read nothing of it. It has one part then, which has no event.
    pub is_large: bool,
}

/// A read that is under way.
pub(super) struct Reading<'a> {
    /// The value of the epoch that was found when the reader connected.
    pub(super) epoch: i64,
    pub(super) rows: BoxStream<'a, sqlx::Result<PgRow>>,
    /// The first row of the next part.
    pub(super) next: Option<PgRow>,
    pub(super) patience: &'a mut Duration,
    pub(super) metrics: &'a Metrics,
    pub(super) skipped: &'a mut Skipped,
}

impl Reading<'_> {
    /// The next part. One row more is read before a part ends, in order to know whether it is the last.
    pub(super) async fn part(&mut self) -> Result<ReadPart, FollowError> {
        let first = match self.next.take() {
            Some(row) => row,
            // The state of the database is in every row, also where there is no event.
            None => self.first_row().await?.ok_or(sqlx::Error::RowNotFound)?,
        };
        if first.try_get("standby")? {
            return Err(sqlx::Error::Protocol(STANDBY.to_owned()).into());
        }
        if first.try_get("hidden")? {
            // Read on, the position would pass over what is hidden.
            return Err(sqlx::Error::Protocol(HIDDEN.to_owned()).into());
        }
        let epoch: Option<i64> = first.try_get("epoch")?;
        if epoch != Some(self.epoch) || first.try_get("has_foreign")? {
            return Err(FollowError::Replaced);
        }
        let mut part = ReadPart {
            snapshot: Arc::new(first.try_get::<String, _>("snapshot")?.parse()?),
            log: LogPosition {
                written: first.try_get("written")?,
                flushed: first.try_get("flushed")?,
            },
            pruned: removed_events(&first)?,
            events: Vec::new(),
            synced: true,
            complete: false,
            is_large: first.try_get("is_large")?,
        };
        let (mut row, mut bytes) = (first, 0);
        loop {
            if let Some(id) = row.try_get("id")? {
                part.synced &= row.try_get::<bool, _>("sync")?;
                match row::event(id, &row) {
                    Ok(mut event) => {
                        bytes += event.payload.get().len();
                        event.traceparent = row.try_get("traceparent")?;
                        part.events.push(Arc::new(event));
                    }
                    Err(why) => self.log_unusable(id, &row, &why),
                }
            }
            match timeout(PATIENCE, self.rows.try_next()).await?? {
                None => {
                    self.skipped.log();
                    part.complete = true;
                    return Ok(part);
                }
                Some(next) if part.events.len() >= PART_EVENTS || bytes >= PART_BYTES => {
                    self.next = Some(next);
                    return Ok(part);
                }
                Some(next) => row = next,
            }
        }
    }

    /// The first row of the read. After a read that took too long to begin, the next one may take twice as long: otherwise a
    /// read that sorts millions of events would be cut off each time.
    async fn first_row(&mut self) -> Result<Option<PgRow>, FollowError> {
        let first = timeout(*self.patience, self.rows.try_next()).await;
        *self.patience = match first {
            Ok(_) => PATIENCE,
            Err(_) => (*self.patience * 2).min(MAX_PATIENCE),
        };
        Ok(first??)
    }

    /// An event that is left out is counted and logged, never passed over in silence.
    fn log_unusable(&mut self, id: i64, row: &PgRow, why: &Unusable) {
        self.metrics.capture_errors.inc();
        self.skipped.note(id, row::source(row), why);
    }
}
