//! Removes events that are older than the retention.
//!
//! Refuses to remove what a reader may not have read: an event counts as old only once it has been visible for a
//! while, because a transaction that stays open longer than the retention commits rows that are old at birth.

use std::time::Duration;

use crate::db::numbers::pruning_key;
use crate::db::pools::Pool;
use crate::db::retry::within;

/// Rows that one statement removes at most: its transaction is short, and vacuum does not wait for it.
const BATCH: i64 = 5_000;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// It says first that it is the server's, also where there is nothing to remove: `rowcast.note_removal` looks.
/// `$2` is a snapshot of a while ago: every reader has had the time to read what it sees. `rowcast.epoch.pruned` becomes the
/// smallest snapshot that sees every event which was ever pruned. A reader or a client whose offset does not see all of that
/// snapshot may have missed a pruned event.
const PRUNE: &str = concat!(
    "
with claimed as (
    select set_config('rowcast.pruning', 'on', true) = 'on' and pg_try_advisory_xact_lock(",
    pruning_key!(),
    ") as mine
), old as (
    select id from rowcast.events where (select mine from claimed) order by id limit $3
), gone as (
    delete from rowcast.events e using old
    where e.id = old.id and e.at < clock_timestamp() - make_interval(secs => $1)
      and pg_visible_in_snapshot(e.xid, $2::text::pg_snapshot)
    returning e.xid
), bounds as (
    select coalesce(pg_snapshot_xmax(pruned)::text::bigint, 0) as before,
           (select max(xid::text::bigint) + 1 from gone) as now
    from rowcast.epoch
), unseen as (
    select x.xid from bounds,
    lateral (
        select pg_snapshot_xip($2::text::pg_snapshot)::text::bigint as xid
        union select pg_snapshot_xip(pruned)::text::bigint from rowcast.epoch
    ) x
    where x.xid < greatest(before, now)
      and (x.xid >= before or x.xid in (select pg_snapshot_xip(pruned)::text::bigint from rowcast.epoch))
      and (x.xid >= now or x.xid in (select pg_snapshot_xip($2::text::pg_snapshot)::text::bigint))
), kept as (
    update rowcast.epoch set pruned = format('%s:%s:%s',
        coalesce((select min(xid) from unseen), greatest(before, now)), greatest(before, now),
        (select string_agg(xid::text, ',' order by xid) from unseen))::pg_snapshot
    from bounds where now is not null
)
select count(*) from gone"
);

/// Prunes, and remembers snapshots in order to know since when an event has been visible.
pub(crate) struct Pruner {
    pool: Pool,
    retention: Duration,
    /// How long an event is left alone after it became visible.
    grace: Duration,
    snapshots: std::collections::VecDeque<(tokio::time::Instant, String)>,
}

impl Pruner {
    /// Prunes what is older than `retention`.
    pub(crate) fn new(pool: Pool, retention: Duration) -> Self {
        let grace = retention.min(Duration::from_secs(60));
        Self {
            pool,
            retention,
            grace,
            snapshots: std::collections::VecDeque::new(),
        }
    }

    /// Removes one batch at most and says how many events it held.
    ///
    /// # Errors
    /// The database's own; nothing was removed then.
    pub(crate) async fn prune(&mut self) -> sqlx::Result<u64> {
        let now = tokio::time::Instant::now();
        if self
            .snapshots
            .back()
            .is_none_or(|(at, _)| now - *at >= self.grace / 8)
        {
            let snapshot = within(&self.pool, PATIENCE, async |connection| {
                sqlx::query_scalar("select pg_current_snapshot()::text")
                    .fetch_one(connection)
                    .await
            })
            .await?;
            self.snapshots.push_back((now, snapshot));
        }
        while self
            .snapshots
            .get(1)
            .is_some_and(|(at, _)| now - *at >= self.grace)
        {
            self.snapshots.pop_front();
        }
        let Some((_, seen)) = self
            .snapshots
            .front()
            .filter(|(at, _)| now - *at >= self.grace)
        else {
            return Ok(0);
        };
        let prune = sqlx::query_scalar(PRUNE)
            .bind(self.retention.as_secs_f64())
            .bind(seen)
            .bind(BATCH);
        let removed: i64 = within(&self.pool, PATIENCE, async |connection| {
            prune.fetch_one(connection).await
        })
        .await?;
        Ok(removed.unsigned_abs())
    }

    /// Whether the last batch was full, so that another should follow at once.
    pub(crate) fn is_full(removed: u64) -> bool {
        removed == BATCH.unsigned_abs()
    }
}
