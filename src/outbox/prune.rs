//! Removes events that are older than the retention.
//!
//! Refuses to remove what a reader may not have read: an event counts as old only once it has been visible for a
//! while, because a transaction that stays open longer than the retention commits rows that are old at birth.

use std::time::Duration;

use sqlx::postgres::PgPool;

/// Rows a statement removes at most: short transactions, little for vacuum to wait for.
const BATCH: i64 = 5_000;

/// `$2` is a snapshot taken a while ago: what it sees, every reader has had the time to read.
/// The highest xid removed is kept, so that an offset which may have missed a removed event is known to be expired.
const PRUNE: &str = "
with claimed as (
    select pg_try_advisory_xact_lock(1919903602, 2) as mine
), old as (
    select id from rowcast.events, claimed where mine order by id limit $3
), gone as (
    delete from rowcast.events e using old
    where e.id = old.id and e.at < clock_timestamp() - make_interval(secs => $1)
      and pg_visible_in_snapshot(e.xid, $2::text::pg_snapshot)
    returning e.xid
), highest as (
    select xid from gone order by xid desc limit 1
), kept as (
    update rowcast.epoch set pruned_xid = highest.xid from highest
    where pruned_xid is null or pruned_xid < highest.xid
)
select count(*) from gone";

/// How long an event is left alone after it became visible. A reader that read later than that after its last read may
/// have missed some.
pub(super) fn grace(retention: Duration) -> Duration {
    retention.min(Duration::from_secs(60))
}

/// Prunes with the memory of when what became visible.
pub struct Pruner {
    pool: PgPool,
    retention: Duration,
    grace: Duration,
    snapshots: std::collections::VecDeque<(tokio::time::Instant, String)>,
}

impl Pruner {
    /// Prunes what is older than `retention`.
    pub fn new(pool: PgPool, retention: Duration) -> Self {
        Self {
            pool,
            retention,
            grace: grace(retention),
            snapshots: std::collections::VecDeque::new(),
        }
    }

    /// Removes one batch at most and says how many events it held.
    ///
    /// # Errors
    /// The database's own; nothing was removed then.
    pub async fn prune(&mut self) -> sqlx::Result<u64> {
        let now = tokio::time::Instant::now();
        if self
            .snapshots
            .back()
            .is_none_or(|(at, _)| now - *at >= self.grace / 8)
        {
            let snapshot = sqlx::query_scalar("select pg_current_snapshot()::text")
                .fetch_one(&self.pool)
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
        let removed: i64 = sqlx::query_scalar(PRUNE)
            .bind(self.retention.as_secs_f64())
            .bind(seen)
            .bind(BATCH)
            .fetch_one(&self.pool)
            .await?;
        Ok(removed.unsigned_abs())
    }

    /// Whether the last batch was full, so that another should follow at once.
    pub fn is_full(removed: u64) -> bool {
        removed == BATCH.unsigned_abs()
    }
}
