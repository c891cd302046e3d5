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
/// A session keeps a room that was closed to it: who comes back to it is told so then.
const END_SESSIONS: &str = concat!(
    "
with mine as (
    select s.pid_hash from rowcast.sessions s
    where s.identity like '[%' and exists (
        select from rowcast.revocations r
        where r.room is null and r.subject = (",
    subject!(),
    ") and s.updated_at <= r.revoked_at and (r.issuer is null or s.identity::json ->> 0 = r.issuer)
    ) and ($1::text[] is null or (",
    subject!(),
    ") = any ($1))
    order by s.pid_hash for update of s skip locked
), gone as (
    delete from rowcast.sessions s using mine where s.pid_hash = mine.pid_hash returning 1
)
select count(*) from gone"
);

const PRUNE: &str = "
delete from rowcast.revocations where ctid = any (array(
    select ctid from rowcast.revocations where revoked_at < clock_timestamp() - make_interval(secs => $1)
    order by revoked_at limit $2))";

/// Ends the stored sessions of those whose rights have ended; of all of them, where no `subjects` are named. Says how many.
///
/// # Errors
/// The database's own.
pub(super) async fn end_stored_sessions(
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
pub(super) async fn prune_revocations(pool: &Pool, kept: Duration) -> sqlx::Result<bool> {
    let prune = sqlx::query(PRUNE).bind(kept.as_secs_f64()).bind(MAX_PRUNED);
    let pruned = within(pool, PATIENCE, async |connection| {
        prune.execute(connection).await
    })
    .await?;
    Ok(pruned.rows_affected() >= MAX_PRUNED.cast_unsigned())
}
