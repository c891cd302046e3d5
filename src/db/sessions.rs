//! Which rooms a connection was in: what a client that comes back is given again.
//!
//! Kept by the hash of the connection's secret pid, and written in batches: one statement for whatever has gathered. A join
//! is answered only once it is in here, so that a server killed a moment later forgets no room that a client counts on.
//! Each row belongs to the connection that wrote or took it last (`owner`); what another one writes is refused.

mod pid;

pub(crate) use pid::{PidHash, parse_takeovers};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgPool;

use super::outbox::{ReadError, database_state, database_state_columns};
use super::query_batcher::QueryBatcher;
use super::retry::within;
use crate::offset::DatabaseState;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Statements at a time, and sessions of one.
const CONCURRENCY: u32 = 2;
const MAX_BATCH: usize = 1_000;

/// A session belongs to us now; whoever had it is told, on whichever server it is. `$3` pairs with `$1`.
const TAKE_OVER: &str = concat!(
    "
with asked as (
    select * from unnest($1::bytea[], $2::text[], $3::int8[]) as a (pid_hash, identity, owner)
), mine as (
    select s.pid_hash, a.owner from rowcast.sessions s join asked a using (pid_hash)
    where s.identity = a.identity order by s.pid_hash for update of s
), taken as (
    update rowcast.sessions s set owner = mine.owner, updated_at = now() from mine
    where s.pid_hash = mine.pid_hash
    returning s.pid_hash, s.rooms::text as rooms, s.last_sent_offset, s.complete_to_offset, mine.owner
), notified as (
    select count(pg_notify('rowcast_session', entries)) from (
        select string_agg(encode(pid_hash, 'hex') || ':' || owner, ',') as entries
        from (select *, row_number() over () / 100 as page from taken) t group by page
    ) pages
), present as (",
    database_state_columns!(),
    ")
select present.*, taken.*, (select count from notified) as notified from present left join taken on true"
);

const STORE: &str = "
insert into rowcast.sessions (pid_hash, identity, owner, rooms, last_sent_offset, complete_to_offset)
select * from unnest($1::bytea[], $2::text[], $3::int8[], $4::text[]::jsonb[], $5::text[], $6::text[])
on conflict (pid_hash) do update
set rooms = excluded.rooms, last_sent_offset = excluded.last_sent_offset,
    complete_to_offset = excluded.complete_to_offset, updated_at = now()
where sessions.owner = excluded.owner
returning pid_hash, owner";

const FORGET: &str = "delete from rowcast.sessions where pid_hash = $1 and owner = $2";
const TOUCH: &str = "
update rowcast.sessions s
set last_sent_offset = t.last_sent_offset, complete_to_offset = t.complete_to_offset, updated_at = now()
from unnest($1::bytea[], $2::int8[], $3::text[], $4::text[]) as t (pid_hash, owner, last_sent_offset, complete_to_offset)
where s.pid_hash = t.pid_hash and s.owner = t.owner";
const PRUNE: &str = "
delete from rowcast.sessions where pid_hash = any(array(
    select pid_hash from rowcast.sessions where updated_at < now() - make_interval(secs => $1) limit 5000))";

/// Each room of a session with what the client had of it, and perhaps an offset that its own must be later than.
pub(crate) type StoredRooms = HashMap<String, Vec<String>>;

/// A connection's session, by which it is written.
#[derive(Clone)]
pub(crate) struct ResumeSession {
    /// What it is kept by.
    pub pid: PidHash,
    /// Who may resume it.
    pub identity: &'static str,
    /// Of all connections that had this pid, the latest owns it.
    pub owner: i64,
}

/// How far a client has been served.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionProgress {
    /// The offset of the last event that it was sent.
    pub last_sent_offset: String,
    /// A client that got that event has missed nothing up to here, however old the event is.
    pub complete_to_offset: String,
}

/// What a session holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredSession {
    /// The rooms.
    pub rooms: StoredRooms,
    /// How far they were served.
    pub progress: SessionProgress,
}

/// What a session held, if there is one for that pid and identity, and the database at that moment.
#[derive(Clone, Debug)]
pub(crate) struct Takeover {
    /// `None` where there is no such session.
    pub stored: Option<StoredSession>,
    /// For judging offsets.
    pub state: DatabaseState,
}

/// See the module.
pub(crate) struct Sessions {
    pool: PgPool,
    takeovers: QueryBatcher<ResumeSession, Result<Takeover, Arc<ReadError>>>,
    stores: QueryBatcher<(ResumeSession, StoredSession), Result<bool, Arc<sqlx::Error>>>,
    touches: QueryBatcher<(ResumeSession, SessionProgress), Result<(), Arc<sqlx::Error>>>,
}

impl Sessions {
    /// Over a pool whose commits wait for their flush.
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            takeovers: QueryBatcher::new(CONCURRENCY, MAX_BATCH),
            stores: QueryBatcher::new(CONCURRENCY, MAX_BATCH),
            touches: QueryBatcher::new(CONCURRENCY, MAX_BATCH),
        }
    }

    /// Takes a session over for a new owner. Another identity's is not there.
    ///
    /// # Errors
    /// The database's own, and the moment after a crash.
    pub(crate) async fn take_over(
        &self,
        session: ResumeSession,
    ) -> Result<Takeover, Arc<ReadError>> {
        let together = async |asked: Vec<ResumeSession>| match self.take_all_over(&asked).await {
            Ok(taken) => taken.into_iter().map(Ok).collect(),
            Err(error) => same(&asked, error),
        };
        self.takeovers.ask(session, together).await
    }

    async fn take_all_over(&self, asked: &[ResumeSession]) -> Result<Vec<Takeover>, ReadError> {
        let take = sqlx::query(TAKE_OVER)
            .bind(hashes(asked))
            .bind(column(asked, |session| session.identity))
            .bind(column(asked, |session| session.owner));
        let rows = within(&self.pool, PATIENCE, async |connection| {
            take.fetch_all(connection).await
        })
        .await?;
        let (state, _) = database_state(rows.first().ok_or(sqlx::Error::RowNotFound)?)?;
        let mut found = HashMap::new();
        for row in &rows {
            if let Some(hash) = row.try_get::<Option<Vec<u8>>, _>("pid_hash")? {
                let rooms: String = row.try_get("rooms")?;
                let stored = StoredSession {
                    rooms: serde_json::from_str(&rooms).unwrap_or_default(),
                    progress: SessionProgress {
                        last_sent_offset: row.try_get("last_sent_offset")?,
                        complete_to_offset: row.try_get("complete_to_offset")?,
                    },
                };
                found.insert((hash, row.try_get("owner")?), stored);
            }
        }
        let taken = |session: &ResumeSession| Takeover {
            stored: found.get(&(session.pid.0.to_vec(), session.owner)).cloned(),
            state: state.clone(),
        };
        Ok(asked.iter().map(taken).collect())
    }

    /// Keeps what a session holds. False: it was taken over by another connection.
    ///
    /// # Errors
    /// The database's own; nothing was written then.
    pub(crate) async fn store(
        &self,
        session: ResumeSession,
        stored: StoredSession,
    ) -> Result<bool, Arc<sqlx::Error>> {
        let together =
            async |asked: Vec<(ResumeSession, StoredSession)>| match self.store_all(&asked).await {
                Ok(stored) => stored.into_iter().map(Ok).collect(),
                Err(error) => same(&asked, error),
            };
        self.stores.ask((session, stored), together).await
    }

    async fn store_all(&self, asked: &[(ResumeSession, StoredSession)]) -> sqlx::Result<Vec<bool>> {
        // A statement may not touch a row twice: of a connection's writes the last one holds, and another connection's
        // write to the same session goes into a statement of its own.
        let mut last = HashMap::new();
        for write in asked {
            last.insert((write.0.pid, write.0.owner), write);
        }
        let mut left: Vec<_> = last.into_values().cloned().collect();
        // In one order, so that two statements do not wait for each other's rows.
        left.sort_by_key(|(session, _)| session.pid.0);
        let mut written = HashSet::new();
        while !left.is_empty() {
            let (mut now, mut later) = (Vec::with_capacity(left.len()), Vec::new());
            for write in left {
                let last = now
                    .last()
                    .map(|(session, _): &(ResumeSession, StoredSession)| session.pid);
                let list = if last == Some(write.0.pid) {
                    &mut later
                } else {
                    &mut now
                };
                list.push(write);
            }
            let (sessions, stored): (Vec<ResumeSession>, Vec<StoredSession>) =
                now.into_iter().unzip();
            let rooms = column(&stored, |stored| {
                serde_json::to_string(&stored.rooms).expect("its keys are strings")
            });
            let store = sqlx::query_as(STORE)
                .bind(hashes(&sessions))
                .bind(column(&sessions, |session| session.identity))
                .bind(column(&sessions, |session| session.owner))
                .bind(rooms)
                .bind(column(&stored, |stored| {
                    stored.progress.last_sent_offset.clone()
                }))
                .bind(column(&stored, |stored| {
                    stored.progress.complete_to_offset.clone()
                }));
            let rows: Vec<(Vec<u8>, i64)> = within(&self.pool, PATIENCE, async |connection| {
                store.fetch_all(connection).await
            })
            .await?;
            written.extend(rows);
            left = later;
        }
        Ok(asked
            .iter()
            .map(|(session, _)| written.contains(&(session.pid.0.to_vec(), session.owner)))
            .collect())
    }

    /// Says how far a client has been served, and that it was there until now.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn touch(
        &self,
        session: ResumeSession,
        progress: SessionProgress,
    ) -> Result<(), Arc<sqlx::Error>> {
        let together =
            async |asked: Vec<(ResumeSession, SessionProgress)>| match self.touch_all(&asked).await
            {
                Ok(()) => asked.iter().map(|_| Ok(())).collect(),
                Err(error) => same(&asked, error),
            };
        self.touches.ask((session, progress), together).await
    }

    /// [`Sessions::touch`] for many.
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

    /// The client has ended its session, or may not go on with it.
    ///
    /// # Errors
    /// The database's own; it is pruned in time.
    pub(crate) async fn forget(&self, session: &ResumeSession) -> sqlx::Result<()> {
        let forget = sqlx::query(FORGET).bind(session.pid.0.as_slice());
        let forget = forget.bind(session.owner);
        within(&self.pool, PATIENCE, async |connection| {
            forget.execute(connection).await.map(|_| ())
        })
        .await
    }

    /// Removes what was not touched for so long, a bounded number at a time.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn prune(&self, untouched: Duration) -> sqlx::Result<()> {
        let prune = sqlx::query(PRUNE).bind(untouched.as_secs_f64());
        prune.execute(&self.pool).await.map(|_| ())
    }
}

/// The same failure for everybody who asked.
fn same<Q, A, E>(asked: &[Q], error: E) -> Vec<Result<A, Arc<E>>> {
    let error = Arc::new(error);
    asked.iter().map(|_| Err(error.clone())).collect()
}

fn column<T, C>(rows: &[T], of: impl Fn(&T) -> C) -> Vec<C> {
    rows.iter().map(of).collect()
}

fn hashes(sessions: &[ResumeSession]) -> Vec<&[u8]> {
    sessions
        .iter()
        .map(|session| session.pid.0.as_slice())
        .collect()
}
