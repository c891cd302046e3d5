//! Resume sessions: the rows that let a client come back to its rooms.
//!
//! A row is found by the hash of the connection's secret pid. It holds the identity that may resume it, the rooms with what
//! the client had of each, and how far the client was served.
//! Owns the statements. Requests that arrive while a statement runs are put together into the next one, so a thousand clients
//! that come back at once cost a few statements.
//! Guarantees: each row belongs to one connection, its `owner`, which is the last that created it or took it over; a write by
//! any other connection is refused. What `store` has reported as written outlives a crash of the server and of the database,
//! which is why a join is acknowledged only after that.

mod end;
mod ended;
mod ended_share;
mod pid;
mod store;
mod takeover;

pub(crate) use ended_share::CountedFor;
pub(crate) use pid::{PidHash, parse_takeovers};
pub(super) use store::rehearse;
pub(crate) use takeover::Takeover;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::fault::{cause_of, is_refused};
use super::pools::Pool;
use super::query_batcher::{QueryBatcher, column};
use super::read_error::ReadError;
use super::retry::within;
use crate::status::{Check, Checks, FoundBy};
use ended_share::EndedShares;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Statements of one kind at a time.
const CONCURRENCY: u32 = 2;
/// Sessions of one statement at most.
const MAX_BATCH: usize = 1_000;

const FORGET: &str = "delete from rowcast.sessions where pid_hash = $1 and owner = $2";
const TOUCH: &str = "
update rowcast.sessions s
set last_sent_offset = t.last_sent_offset, complete_to_offset = t.complete_to_offset, updated_at = now(), ended_at = null
from unnest($1::bytea[], $2::int8[], $3::text[], $4::text[]) as t (pid_hash, owner, last_sent_offset, complete_to_offset)
where s.pid_hash = t.pid_hash and s.owner = t.owner";
/// Two servers that prune at once don't wait for each other.
const PRUNE: &str = "
delete from rowcast.sessions where pid_hash = any(array(
    select pid_hash from rowcast.sessions where updated_at < now() - make_interval(secs => $1)
    order by updated_at limit $2 for update skip locked))";

/// Each room's name with one or two offsets: what the client had of the room when it was in, and, where the room was replayed
/// on the way in, the offset that the client's own must be later than to prove that the replay has arrived.
pub(crate) type StoredRooms = HashMap<String, Vec<String>>;

/// Names a resume session, and the connection that reads or writes it.
#[derive(Clone)]
pub(crate) struct ResumeSession {
    /// The row's key.
    pub pid: PidHash,
    /// Only this identity may resume the session.
    pub identity: Arc<str>,
    /// A random number that stands for the connection. The row has that of the connection it belongs to.
    pub owner: i64,
    /// Whose share it takes of, once it has ended.
    pub counted_for: Option<CountedFor>,
}

/// How far a client has been served.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionProgress {
    /// The offset of the last event that the client was sent.
    pub last_sent_offset: String,
    /// A client that got that event has missed nothing up to here, however old the event is.
    pub complete_to_offset: String,
}

/// What a resume session holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredSession {
    /// The client's rooms.
    pub rooms: StoredRooms,
    /// How far the client was served in all of them.
    pub progress: SessionProgress,
}

/// Why sessions could not be stored: it concerns all that were written together.
pub(crate) type StoreError = Arc<sqlx::Error>;

/// Reads and writes resume sessions, many by one statement.
pub(crate) struct Sessions {
    pool: Pool,
    checks: Checks,
    takeovers: QueryBatcher<ResumeSession, Result<Takeover, Arc<ReadError>>>,
    stores: QueryBatcher<(ResumeSession, StoredSession), Result<bool, StoreError>>,
    ends: QueryBatcher<(ResumeSession, SessionProgress), Result<Option<u64>, StoreError>>,
    ended_shares: EndedShares,
    /// `ROWCAST_MAX_SESSIONS_SIZE`
    share_bytes: u64,
}

impl Sessions {
    /// Sessions that are pruned at a time.
    pub(crate) const MAX_PRUNED: u64 = 5_000;

    /// Over a pool whose commits wait until they are on disk. What fails is written into `checks`. Of one identity, or one address without
    /// identities, `share_bytes` stay that have ended.
    pub(crate) fn new(pool: Pool, checks: Checks, share_bytes: usize) -> Self {
        Self {
            pool,
            checks,
            takeovers: QueryBatcher::new(CONCURRENCY, MAX_BATCH),
            stores: QueryBatcher::new(CONCURRENCY, MAX_BATCH),
            ends: QueryBatcher::new(CONCURRENCY, MAX_BATCH),
            ended_shares: EndedShares::default(),
            share_bytes: share_bytes as u64,
        }
    }

    /// Makes the connection in `session.owner` the owner of the session, and reads what it holds. The session of another
    /// identity is treated as one that does not exist.
    ///
    /// # Errors
    /// The database's own; or the database has recovered from a crash that the reader has not recorded yet.
    pub(crate) async fn take_over(
        &self,
        session: ResumeSession,
    ) -> Result<Takeover, Arc<ReadError>> {
        let together =
            async |requests: Vec<ResumeSession>| match takeover::take_over(&self.pool, &requests)
                .await
            {
                Ok(takeovers) => takeovers.into_iter().map(Ok).collect(),
                Err(error) => same(&requests, error),
            };
        let taken = self.takeovers.ask(session, together).await;
        if let Err(error) = &taken
            && let ReadError::Database(error) = &**error
        {
            self.failed(Check::Sessions, "the server can't look sessions up", error);
        }
        taken
    }

    /// Whether the self-check has found that sessions can't be stored, or nothing can, so that waiting is of no use.
    pub(crate) fn known_to_fail(&self) -> bool {
        [Check::Sessions, Check::Writes]
            .iter()
            .any(|check| self.checks.found(*check, FoundBy::SelfCheck))
    }

    /// Notes that sessions can't be written or removed. Who can't connect is told by the listener and the reader.
    fn failed(&self, check: Check, what: &str, error: &sqlx::Error) {
        if is_refused(error) {
            let cause = format!("{what}: {}", cause_of(error));
            self.checks.fail(check, FoundBy::Operation, cause);
        }
    }

    /// Stores what a session holds. False: another connection has taken the session over, and nothing was written.
    ///
    /// # Errors
    /// The database's own; nothing was written then.
    pub(crate) async fn store(
        &self,
        session: ResumeSession,
        stored: StoredSession,
    ) -> Result<bool, StoreError> {
        let together = async |writes: Vec<(ResumeSession, StoredSession)>| match store::store(
            &self.pool, &writes,
        )
        .await
        {
            Ok(written) => written.into_iter().map(Ok).collect(),
            Err(error) => same(&writes, error),
        };
        let written = self.stores.ask((session, stored), together).await;
        match &written {
            Ok(_) => self.checks.pass(Check::Sessions, FoundBy::Operation),
            Err(error) => self.failed(
                Check::Sessions,
                "the server can't store sessions, and refuses joins",
                error,
            ),
        }
        written
    }

    /// Writes down how far clients have been served, and that they are connected.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn touch_all(
        &self,
        touched: &[(ResumeSession, SessionProgress)],
    ) -> sqlx::Result<()> {
        for some in touched.chunks(MAX_BATCH) {
            let (sessions, progress): (Vec<ResumeSession>, Vec<SessionProgress>) =
                some.iter().cloned().unzip();
            let touch = sqlx::query(TOUCH)
                .bind(hashes(&sessions))
                .bind(column(&sessions, |session| session.owner))
                .bind(column(&progress, |progress| {
                    progress.last_sent_offset.clone()
                }))
                .bind(column(&progress, |progress| {
                    progress.complete_to_offset.clone()
                }));
            within(&self.pool, PATIENCE, async |connection| {
                touch.execute(connection).await
            })
            .await?;
        }
        Ok(())
    }

    /// Removes a session that its client has ended, or that can't be resumed any more.
    ///
    /// # Errors
    /// The database's own; the row is then removed by [`Sessions::prune`], later.
    pub(crate) async fn forget(&self, session: &ResumeSession) -> sqlx::Result<()> {
        let forget = sqlx::query(FORGET).bind(session.pid.0.as_slice());
        let forget = forget.bind(session.owner);
        within(&self.pool, PATIENCE, async |connection| {
            forget.execute(connection).await.map(|_| ())
        })
        .await
    }

    /// [`Sessions::forget`], where the failure concerns nobody.
    pub(crate) async fn forget_or_log(&self, session: &ResumeSession) {
        if let Err(error) = self.forget(session).await {
            tracing::debug!("a session that ended stays until it is pruned: {error}");
        }
    }

    /// Removes sessions that were not touched for this long, and says how many. If there are more, `MAX_PRUNED` of them.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn prune(&self, untouched: Duration) -> sqlx::Result<u64> {
        let prune = sqlx::query(PRUNE)
            .bind(untouched.as_secs_f64())
            .bind(Self::MAX_PRUNED.cast_signed());
        let pruned = within(&self.pool, PATIENCE, async |connection| {
            prune.execute(connection).await
        })
        .await;
        if let Err(error) = &pruned {
            self.failed(Check::Retention, "old sessions can't be removed", error);
        }
        pruned.map(|done| done.rows_affected())
    }
}

/// The same failure for everybody who asked.
fn same<Q, A, E>(asked: &[Q], error: E) -> Vec<Result<A, Arc<E>>> {
    let error = Arc::new(error);
    asked.iter().map(|_| Err(error.clone())).collect()
}

fn hashes(sessions: &[ResumeSession]) -> Vec<&[u8]> {
    sessions
        .iter()
        .map(|session| session.pid.0.as_slice())
        .collect()
}
