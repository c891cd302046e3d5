//! The statement that stores what resume sessions hold.
//!
//! Guarantees that a connection writes only to a session that it owns: a write by a connection whose session was taken over
//! changes nothing, and is reported as such.

use std::collections::{HashMap, HashSet};

use super::{PATIENCE, ResumeSession, StoredSession, hashes};
use crate::db::pools::Pool;
use crate::db::query_batcher::column;
use crate::db::retry::within;

const STORE: &str = "
insert into rowcast.sessions (pid_hash, identity, owner, rooms, last_sent_offset, complete_to_offset, counted_for)
select * from unnest($1::bytea[], $2::text[], $3::int8[], $4::text[]::jsonb[], $5::text[], $6::text[], $7::bytea[])
on conflict (pid_hash) do update
set rooms = excluded.rooms, last_sent_offset = excluded.last_sent_offset,
    complete_to_offset = excluded.complete_to_offset, updated_at = now(), ended_at = null, counted_for = excluded.counted_for
where sessions.owner = excluded.owner
returning pid_hash, owner";

/// Stores a session that is nobody's, and takes it back: fails where a join would.
///
/// # Errors
/// The database's own.
pub(in crate::db) async fn rehearse(pool: &Pool) -> sqlx::Result<()> {
    let hash: u128 = rand::random();
    let hash = format!(r"'\x{hash:032x}'");
    let values = [&*hash, "'rehearsal'", "0", "'{}'", "''", "''", "null"];
    let store = (1..)
        .zip(values)
        .fold(STORE.to_owned(), |store, (place, value)| {
            store.replace(&format!("${place}"), &format!("array[{value}]"))
        });
    within(pool, PATIENCE, async |connection| {
        connection.attempt_at_once(&store).await?.map(|_| ())
    })
    .await
}

type Write = (ResumeSession, StoredSession);

/// Stores the sessions, and says of each write, in their order, whether its connection still owns the session.
pub(super) async fn store(pool: &Pool, writes: &[Write]) -> sqlx::Result<Vec<bool>> {
    let mut written = HashSet::new();
    let mut left = last_writes(writes);
    while !left.is_empty() {
        let (now, later) = one_write_a_session(left);
        written.extend(store_distinct(pool, now).await?);
        left = later;
    }
    let is_written =
        |(session, _): &Write| written.contains(&(session.pid.0.to_vec(), session.owner));
    Ok(writes.iter().map(is_written).collect())
}

/// The last write of each connection, which holds whatever the earlier ones hold. Sorted by session, so that two statements
/// lock rows in one order and never wait for each other in a circle.
fn last_writes(writes: &[Write]) -> Vec<Write> {
    let mut last = HashMap::new();
    for write in writes {
        last.insert((write.0.pid, write.0.owner), write);
    }
    let mut last: Vec<_> = last.into_values().cloned().collect();
    last.sort_by_key(|(session, _)| session.pid.0);
    last
}

/// Splits sorted writes: a statement may not write a row twice, so of several connections that write to one session the
/// first goes into this statement and the others into a later one.
fn one_write_a_session(writes: Vec<Write>) -> (Vec<Write>, Vec<Write>) {
    let (mut now, mut later): (Vec<Write>, Vec<Write>) =
        (Vec::with_capacity(writes.len()), Vec::new());
    for write in writes {
        match now.last() {
            Some((session, _)) if session.pid == write.0.pid => later.push(write),
            _ => now.push(write),
        }
    }
    (now, later)
}

/// Stores sessions that are named once each. Returns those that were written, each by its pid's hash and its owner.
async fn store_distinct(pool: &Pool, writes: Vec<Write>) -> sqlx::Result<Vec<(Vec<u8>, i64)>> {
    let (sessions, stored): (Vec<ResumeSession>, Vec<StoredSession>) = writes.into_iter().unzip();
    let query = sqlx::query_as(STORE)
        .bind(hashes(&sessions))
        .bind(column(&sessions, |session| session.identity.to_string()))
        .bind(column(&sessions, |session| session.owner))
        .bind(column(&stored, |stored| {
            serde_json::to_string(&stored.rooms).expect("its keys are strings")
        }))
        .bind(column(&stored, |stored| {
            stored.progress.last_sent_offset.clone()
        }))
        .bind(column(&stored, |stored| {
            stored.progress.complete_to_offset.clone()
        }))
        .bind(column(&sessions, |session| {
            session.counted_for.map(|it| it.0.to_vec())
        }));
    within(pool, PATIENCE, async |connection| {
        query.fetch_all(connection).await
    })
    .await
}
