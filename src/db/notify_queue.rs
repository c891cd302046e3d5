//! The cluster's queue of notifications: how full it is, and who holds it up.
//!
//! Postgres keeps each notification until every session that listens has read it. A session that listens and stays in a
//! transaction, or whose client reads nothing, lets the queue fill up; once it is full, whoever notifies fails when it commits.
//! So nothing of ours is added to a queue that is half full (`migrations/0001_outbox.sql`), but for the probes.

use std::time::Duration;

use super::numbers::notify_queue_limit;
use super::pools::Pool;
use super::retry::{SQLSTATE_NO_RIGHT, within};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// SQLSTATE, Postgres manual, appendix A: the queue is full.
const PROGRAM_LIMIT_EXCEEDED: &str = "54000";

const PROBE: &str = "select pg_notification_queue_usage() from pg_notify('rowcast_probe', $1)";
/// For a role that may not ask how full the queue is.
const PROBE_ALONE: &str = "select pg_notify('rowcast_probe', $1)";

const HOLDS_IT_UP: &str = concat!(
    "select pg_notification_queue_usage() >= ",
    notify_queue_limit!(),
    ", (select format('pid %s (role %s, application %L, %s since %s)', pid, usename, application_name, state,
                      to_char(xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'))
        from pg_stat_activity
        where backend_type = 'client backend' and (state like 'idle in transaction%' and xact_start < now() - interval '1 s' or wait_event = 'ClientWrite')
        order by xact_start nulls last limit 1)"
);

/// Sends a notification that our own listener must hear, and says how full the queue is, from 0 to 1; `None` where the role
/// may not know. Where the queue is full nothing is sent, and nobody hears anything.
///
/// # Errors
/// The database's own.
pub(crate) async fn send_probe(pool: &Pool, payload: &str) -> sqlx::Result<Option<f64>> {
    let probe = sqlx::query_scalar(PROBE).bind(payload);
    let probed = within(pool, PATIENCE, async |connection| {
        probe.fetch_one(connection).await
    })
    .await;
    match probed {
        Err(sqlx::Error::Database(error)) => match error.code().as_deref() {
            Some(PROGRAM_LIMIT_EXCEEDED) => Ok(Some(1.0)),
            Some(SQLSTATE_NO_RIGHT) => {
                let probe = sqlx::query(PROBE_ALONE).bind(payload);
                within(pool, PATIENCE, async |connection| {
                    probe.execute(connection).await.map(|_| None)
                })
                .await
            }
            _ => Err(sqlx::Error::Database(error)),
        },
        probed => probed.map(Some),
    }
}

/// Whether the queue is so full that nothing of ours is added to it; and the session that probably holds it up, in words,
/// where there is one that our role may see.
///
/// # Errors
/// The database's own.
pub(crate) async fn notify_queue_holder(pool: &Pool) -> sqlx::Result<(bool, Option<String>)> {
    within(pool, PATIENCE, async |connection| {
        sqlx::query_as(HOLDS_IT_UP).fetch_one(connection).await
    })
    .await
}
