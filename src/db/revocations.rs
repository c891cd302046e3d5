//! What revocations end in the database itself: stored sessions. And the end of the revocations.
//!
//! The revocations are read by the reader (`outbox`), because they are followed like events.
//! Guarantees that a session which was stored after the revocation stays: its connection is a later one's, or its server looks after it.

use std::time::Duration;

use super::pools::Pool;
use super::retry::within;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows that one statement removes at most.
const MAX_PRUNED: i64 = 5_000;

/// Whose session it is; as the index `sessions_subject` has it.
macro_rules! subject {
    () => {
        "case when s.identity like '[%' and position('\\u0000' in s.identity) = 0 then s.identity::json ->> 1 end"
    };
}

/// `$1` are the subjects; null: all that there are. A session that is being written at this moment is its server's to look after.
/// Sessions of which a room was closed keep the others.
const END_SESSIONS: &str = concat!(
    "
with revoked as (
    select r.room, s.pid_hash
    from rowcast.revocations r
    join rowcast.sessions s on s.identity like '[%' and (",
    subject!(),
    ") = r.subject
    where ($1::text[] is null or r.subject = any ($1)) and s.updated_at <= r.revoked_at
      and (r.issuer is null or s.identity::json ->> 0 = r.issuer)
      and (r.room is null or s.rooms ? r.room)
), mine as (
    select pid_hash from rowcast.sessions
    where pid_hash in (select pid_hash from revoked) order by pid_hash for update skip locked
), gone as (
    delete from rowcast.sessions s using mine
    where s.pid_hash = mine.pid_hash and exists (select from revoked r where r.pid_hash = s.pid_hash and r.room is null)
), closed as (
    update rowcast.sessions s
    set rooms = s.rooms - (select array_agg(r.room) from revoked r where r.pid_hash = s.pid_hash)
    from mine
    where s.pid_hash = mine.pid_hash and not exists (select from revoked r where r.pid_hash = s.pid_hash and r.room is null)
)
select count(*) from mine"
);

const PRUNE: &str = "
delete from rowcast.revocations where ctid = any (array(
    select ctid from rowcast.revocations where revoked_at < clock_timestamp() - make_interval(secs => $1)
    order by revoked_at limit $2 for update skip locked))";

/// Ends the stored sessions of those whose rights have ended; of all of them, where no `subjects` are named. Says how many.
///
/// # Errors
/// The database's own.
pub(crate) async fn end_stored_sessions(
    pool: &Pool,
    subjects: Option<&[String]>,
) -> sqlx::Result<i64> {
    let end = sqlx::query_scalar(END_SESSIONS).bind(subjects);
    within(pool, PATIENCE, async |connection| {
        end.fetch_one(connection).await
    })
    .await
}

/// Removes revocations that are older than `kept`. True: there may be more.
///
/// # Errors
/// The database's own.
pub(crate) async fn prune_revocations(pool: &Pool, kept: Duration) -> sqlx::Result<bool> {
    let prune = sqlx::query(PRUNE).bind(kept.as_secs_f64()).bind(MAX_PRUNED);
    let pruned = within(pool, PATIENCE, async |connection| {
        prune.execute(connection).await
    })
    .await?;
    Ok(pruned.rows_affected() >= MAX_PRUNED.cast_unsigned())
}
