//! Which rooms a connection was in: what a client that comes back is given again.
//!
//! Kept by the hash of the connection's secret pid, and written in batches: one statement for whatever has gathered. A join
//! is answered only once it is in here, so that a server killed a moment later forgets no room that a client counts on.
//! Each row belongs to the connection that wrote or took it last (`owner`); what another one writes is refused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::postgres::PgPool;

use super::epoch::{self, ReadError, present_columns};
use super::gather::Gather;
use crate::offset::Present;

/// Statements at a time, and sessions of one.
const LANES: u32 = 2;
const MOST: usize = 1_000;

/// A session belongs to us now; whoever had it is told, on whichever server it is. `$3` pairs with `$1`.
const TAKE: &str = concat!(
    "
with asked as (
    select * from unnest($1::bytea[], $2::text[], $3::int8[]) as a (pid_hash, identity, owner)
), mine as (
    select s.pid_hash, a.owner from rowcast.sessions s join asked a using (pid_hash)
    where s.identity = a.identity order by s.pid_hash for update of s
), taken as (
    update rowcast.sessions s set owner = mine.owner, updated_at = now() from mine
    where s.pid_hash = mine.pid_hash returning s.pid_hash, s.rooms::text as rooms, mine.owner
), told as (
    select count(pg_notify('rowcast_session', entries)) from (
        select string_agg(encode(pid_hash, 'hex') || ':' || owner, ',') as entries
        from (select *, row_number() over () / 100 as page from taken) t group by page
    ) pages
), present as (",
    present_columns!(),
    ")
select present.*, taken.pid_hash, taken.rooms, taken.owner, (select count from told) as told from present left join taken on true"
);

const STORE: &str = "
insert into rowcast.sessions (pid_hash, identity, rooms, owner)
select * from unnest($1::bytea[], $2::text[], $3::text[]::jsonb[], $4::int8[])
on conflict (pid_hash) do update set rooms = excluded.rooms, updated_at = now()
where sessions.owner = excluded.owner
returning pid_hash, owner";

const FORGET: &str = "delete from rowcast.sessions where pid_hash = $1 and owner = $2";
const TOUCH: &str = "update rowcast.sessions set updated_at = now() where pid_hash = any($1)";
const PRUNE: &str = "
delete from rowcast.sessions where pid_hash = any(array(
    select pid_hash from rowcast.sessions where updated_at < now() - make_interval(secs => $1) limit 5000))";

/// What a session is kept by: the pid itself is a secret, and is kept nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PidHash([u8; 16]);

impl PidHash {
    /// Of a pid as the client sends it.
    pub fn of(pid: &str) -> Self {
        let digest = Sha256::digest(pid.as_bytes());
        let (head, _) = digest
            .split_first_chunk::<16>()
            .expect("a digest has 32 bytes");
        Self(*head)
    }

    fn parse_hex(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32).then_some(Self(number.to_be_bytes()))
    }
}

/// Each room of a session with the offsets that it was joined with and at.
pub type StoredRooms = HashMap<String, [String; 2]>;

/// What a session held, if there is one for that pid and identity, and the database at that moment.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The rooms; `None` where there is no such session.
    pub rooms: Option<StoredRooms>,
    /// For judging offsets.
    pub present: Present,
}

#[derive(Clone)]
struct Ask {
    pid: PidHash,
    identity: String,
    owner: i64,
}

/// See the module.
pub struct Sessions {
    pool: PgPool,
    takes: Gather<Ask, Result<Taken, Arc<ReadError>>>,
    stores: Gather<(Ask, String), Result<bool, Arc<sqlx::Error>>>,
}

impl Sessions {
    /// Over a pool whose commits wait for their flush.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            takes: Gather::new(LANES, MOST),
            stores: Gather::new(LANES, MOST),
        }
    }

    /// Takes a session over for the connection `owner`. Another identity's is not there.
    ///
    /// # Errors
    /// The database's own, and the moment after a crash.
    pub async fn take(
        &self,
        pid: PidHash,
        identity: &str,
        owner: i64,
    ) -> Result<Taken, Arc<ReadError>> {
        let ask = Ask {
            pid,
            identity: identity.to_owned(),
            owner,
        };
        let together = async |asked: Vec<Ask>| match self.take_all(&asked).await {
            Ok(taken) => taken.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = Arc::new(error);
                asked.iter().map(|_| Err(error.clone())).collect()
            }
        };
        self.takes.ask(ask, together).await
    }

    async fn take_all(&self, asked: &[Ask]) -> Result<Vec<Taken>, ReadError> {
        let rows = sqlx::query(TAKE)
            .bind(hashes(asked.iter()))
            .bind(
                asked
                    .iter()
                    .map(|ask| ask.identity.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(asked.iter().map(|ask| ask.owner).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        let (present, _) = epoch::present(rows.first().ok_or(sqlx::Error::RowNotFound)?)?;
        let mut found = HashMap::new();
        for row in &rows {
            if let Some(hash) = row.try_get::<Option<Vec<u8>>, _>("pid_hash")? {
                let rooms: String = row.try_get("rooms")?;
                let rooms: StoredRooms = serde_json::from_str(&rooms).unwrap_or_default();
                let owner: i64 = row.try_get("owner")?;
                found.insert((hash, owner), rooms);
            }
        }
        Ok(asked
            .iter()
            .map(|ask| Taken {
                rooms: found.get(&(ask.pid.0.to_vec(), ask.owner)).cloned(),
                present: present.clone(),
            })
            .collect())
    }

    /// Keeps the rooms of the connection `owner`. False: the session was taken over by another connection.
    ///
    /// # Errors
    /// The database's own; nothing was written then.
    pub async fn store(
        &self,
        pid: PidHash,
        identity: &str,
        owner: i64,
        rooms: &StoredRooms,
    ) -> Result<bool, Arc<sqlx::Error>> {
        let ask = Ask {
            pid,
            identity: identity.to_owned(),
            owner,
        };
        let rooms = serde_json::to_string(rooms).expect("its keys are strings");
        let together = async |asked: Vec<(Ask, String)>| match self.store_all(&asked).await {
            Ok(stored) => stored.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = Arc::new(error);
                asked.iter().map(|_| Err(error.clone())).collect()
            }
        };
        self.stores.ask((ask, rooms), together).await
    }

    async fn store_all(&self, asked: &[(Ask, String)]) -> sqlx::Result<Vec<bool>> {
        // A statement may not touch a row twice: of a connection's writes the last one holds, and another connection's
        // write to the same session goes into a statement of its own.
        let mut last: HashMap<(PidHash, i64), &(Ask, String)> = HashMap::new();
        for write in asked {
            last.insert((write.0.pid, write.0.owner), write);
        }
        let mut left: Vec<_> = last.into_values().collect();
        // In one order, so that two statements do not wait for each other's rows.
        left.sort_by_key(|(ask, _)| ask.pid.0);
        let mut written = HashSet::new();
        while !left.is_empty() {
            let mut now: Vec<&(Ask, String)> = Vec::with_capacity(left.len());
            left.retain(|write| {
                let another = now.last().is_some_and(|last| last.0.pid == write.0.pid);
                if !another {
                    now.push(write);
                }
                another
            });
            let column = |of: fn(&(Ask, String)) -> &str| now.iter().map(|w| of(w)).collect();
            let (identities, rooms): (Vec<&str>, Vec<&str>) =
                (column(|w| &w.0.identity), column(|w| &w.1));
            let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(STORE)
                .bind(hashes(now.iter().map(|(ask, _)| ask)))
                .bind(identities)
                .bind(rooms)
                .bind(now.iter().map(|(ask, _)| ask.owner).collect::<Vec<_>>())
                .fetch_all(&self.pool)
                .await?;
            written.extend(rows);
        }
        Ok(asked
            .iter()
            .map(|(ask, _)| written.contains(&(ask.pid.0.to_vec(), ask.owner)))
            .collect())
    }

    /// The client has ended its session, or may not go on with it.
    ///
    /// # Errors
    /// The database's own; it is pruned in time.
    pub async fn forget(&self, pid: PidHash, owner: i64) -> sqlx::Result<()> {
        let forget = sqlx::query(FORGET).bind(pid.0.as_slice()).bind(owner);
        forget.execute(&self.pool).await.map(|_| ())
    }

    /// Says of connections that they live.
    ///
    /// # Errors
    /// The database's own.
    pub async fn touch(&self, pids: &[PidHash]) -> sqlx::Result<()> {
        for some in pids.chunks(MOST) {
            let hashes: Vec<&[u8]> = some.iter().map(|pid| pid.0.as_slice()).collect();
            sqlx::query(TOUCH).bind(hashes).execute(&self.pool).await?;
        }
        Ok(())
    }

    /// Removes what was not touched for so long, a bounded number at a time.
    ///
    /// # Errors
    /// The database's own.
    pub async fn prune(&self, untouched: Duration) -> sqlx::Result<()> {
        let prune = sqlx::query(PRUNE).bind(untouched.as_secs_f64());
        prune.execute(&self.pool).await.map(|_| ())
    }
}

fn hashes<'a>(asked: impl Iterator<Item = &'a Ask>) -> Vec<&'a [u8]> {
    asked.map(|ask| ask.pid.0.as_slice()).collect()
}

/// What the notification of taken sessions says: whose, and to which connection.
pub fn parse_taken(payload: &str) -> impl Iterator<Item = (PidHash, i64)> {
    payload.split(',').filter_map(|entry| {
        let (hash, owner) = entry.split_once(':')?;
        Some((PidHash::parse_hex(hash)?, owner.parse().ok()?))
    })
}
