//! Removes events that are older than the retention.
//!
//! Refuses to remove what a reader may not have read: an event counts as old only once it has been visible for a
//! while, because a transaction that stays open longer than the retention commits rows that are old at birth.

use std::time::Duration;

use tokio::time::Instant;

use crate::db::pools::Pool;
use crate::db::retry::within;

/// Rows that one statement removes at most: its transaction is short, and vacuum does not wait for it.
const BATCH: i64 = 5_000;
/// Rows that are looked at where the next one was too young a moment ago.
const PROBE: i64 = 100;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// It says first that it is the server's, also where there is nothing to remove: `rowcast.note_removal` looks.
/// `$2` is a snapshot of a while ago: every reader has had the time to read what it sees. `rowcast.epoch.pruned` becomes the
/// smallest snapshot that sees every event which was ever pruned. A reader or a client whose offset does not see all of that
/// snapshot may have missed a pruned event.
/// One server does it at a time: the one that has the row of `rowcast.turns`, which is locked only where something may go, because
/// a lock on a row is written to disk. Where that row is missing nobody may, until it is there again.
const PRUNE: &str = "
with old as materialized (
    select id, at, xid from rowcast.events where id > $4 order by id limit $3
), turn as materialized (
    select from rowcast.turns
    where turn = 'pruning' and exists (
        select from old
        where at < clock_timestamp() - make_interval(secs => $1) and pg_visible_in_snapshot(xid, $2::text::pg_snapshot))
    for update skip locked
), claimed as materialized (
    select set_config('rowcast.pruning', 'on', true) = 'on' and exists (select from turn) as mine
), gone as (
    delete from rowcast.events e using old
    where (select mine from claimed) and e.id = old.id and e.at < clock_timestamp() - make_interval(secs => $1)
      and pg_visible_in_snapshot(e.xid, $2::text::pg_snapshot)
    returning e.id, e.xid
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
select (select count(*) from gone), (select count(*) from old), coalesce(
    (select min(id) - 1 from old
     where at <= clock_timestamp() and not exists (select from gone where gone.id = old.id)),
    (select max(id) from old)), exists (select from rowcast.turns where turn = 'pruning'),
    pg_current_snapshot()::text";

/// For a row that somebody deleted, or that a dump did not bring along.
const MAKE_TURN: &str = "insert into rowcast.turns values ('pruning') on conflict do nothing";

/// After so long it begins at the first row again, for the sake of rows that were passed over: stamped in the future, or
/// committed late.
const SWEEP: Duration = Duration::from_secs(600);
/// The longest pause after there was no row at all.
const EMPTY_PAUSE: Duration = Duration::from_secs(15);

/// Prunes, and remembers snapshots in order to know since when an event has been visible.
pub(crate) struct Pruner {
    pool: Pool,
    retention: Duration,
    /// How long an event is left alone after it became visible.
    grace: Duration,
    snapshots: std::collections::VecDeque<(Instant, String)>,
    /// Every row up to this id was removed, or passed over because it is stamped in the future: what is removed stays in the
    /// index until vacuum may take it, and is not to be walked past each time.
    reached: i64,
    /// Whether the next row was too young last time.
    is_at_young: bool,
    /// When the first row was looked at last.
    swept: Option<Instant>,
    /// Nothing is to be done before, because there was no row.
    empty_until: Option<Instant>,
}

/// What one prune did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pruned {
    /// Events that were removed.
    pub removed: u64,
    /// Whether another prune should follow at once.
    pub has_more: bool,
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
            reached: i64::MIN,
            is_at_young: false,
            swept: None,
            empty_until: None,
        }
    }

    /// Looks at one batch of rows at most, and removes of it what is old.
    ///
    /// # Errors
    /// The database's own; nothing was removed then.
    pub(crate) async fn prune(&mut self) -> sqlx::Result<Pruned> {
        let now = Instant::now();
        if self.empty_until.is_some_and(|until| now < until) {
            return Ok(Pruned::default());
        }
        let Some(seen) = self.seen_for_a_while(now) else {
            if self.needs_snapshot(now) {
                let snapshot = within(&self.pool, PATIENCE, async |connection| {
                    sqlx::query_scalar("select pg_current_snapshot()::text")
                        .fetch_one(connection)
                        .await
                })
                .await?;
                self.snapshots.push_back((now, snapshot));
            }
            return Ok(Pruned::default());
        };
        if self.swept.is_none_or(|at| now - at >= SWEEP) {
            (self.swept, self.reached) = (Some(now), i64::MIN);
        }
        let limit = if self.is_at_young { PROBE } else { BATCH };
        let prune = sqlx::query_as(PRUNE)
            .bind(self.retention.as_secs_f64())
            .bind(seen)
            .bind(limit)
            .bind(self.reached);
        let (removed, looked_at, reached, has_turn, snapshot): (
            i64,
            i64,
            Option<i64>,
            bool,
            String,
        ) = within(&self.pool, PATIENCE, async |connection| {
            prune.fetch_one(connection).await
        })
        .await?;
        if !has_turn {
            self.make_turn().await?;
        }
        if self.needs_snapshot(now) {
            self.snapshots.push_back((now, snapshot));
        }
        let before = self.reached;
        self.reached = reached.unwrap_or(before);
        self.is_at_young = removed == 0 && self.reached == before;
        let is_empty = looked_at == 0;
        self.empty_until = is_empty.then(|| now + EMPTY_PAUSE.min(self.retention / 2));
        Ok(Pruned {
            removed: removed.unsigned_abs(),
            has_more: looked_at == limit && !self.is_at_young,
        })
    }

    async fn make_turn(&self) -> sqlx::Result<()> {
        within(&self.pool, PATIENCE, async |connection| {
            sqlx::query(MAKE_TURN).execute(connection).await.map(|_| ())
        })
        .await
    }

    /// The latest snapshot that is so old that every reader has read what it sees.
    fn seen_for_a_while(&mut self, now: Instant) -> Option<String> {
        let is_old = |(at, _): &(Instant, String)| now - *at >= self.grace;
        while self.snapshots.get(1).is_some_and(is_old) {
            self.snapshots.pop_front();
        }
        let oldest = self.snapshots.front().filter(|oldest| is_old(oldest));
        oldest.map(|(_, snapshot)| snapshot.clone())
    }

    fn needs_snapshot(&self, now: Instant) -> bool {
        let last = self.snapshots.back();
        last.is_none_or(|(at, _)| now - *at >= self.grace / 8)
    }
}
