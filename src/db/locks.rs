//! Who keeps a table of ours locked, so that writers, the reader or joins wait: somebody's forgotten `lock table`, a `vacuum full`,
//! an `alter table` in a transaction that stays open, or was prepared.
//!
//! Asks `pg_locks` alone, so that the question itself never waits for such a lock. A lock that was there at two looks in a row has
//! lasted: when a transaction of another role began may be hidden from ours.

use super::lock_holder::{LockHolder, holder_columns};

/// The statement whose rows are the locks of others on our tables that stop somebody, as [`Held`] has them.
pub(super) const HELD: &str = concat!(
    "
select format('rowcast.%I', c.relname) as name, l.mode = 'AccessExclusiveLock' as from_readers,
       ",
    holder_columns!(),
    "
from pg_locks l
join pg_class c on c.oid = l.relation and c.relkind = 'r'
join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'rowcast'
left join pg_stat_activity a on a.pid = l.pid
where l.granted and l.pid is distinct from pg_backend_pid() and l.mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
  and l.database = (select oid from pg_database where datname = current_database())
  and coalesce(a.backend_type, '') <> 'autovacuum worker'
order by name, holder"
);

/// A lock that somebody holds.
#[derive(serde::Deserialize, Clone, Debug)]
pub(super) struct Held {
    name: String,
    #[serde(flatten)]
    by: LockHolder,
    /// Not even reads pass.
    from_readers: bool,
}

/// Those of `now` that were there `before`.
pub(super) fn lasting(before: &[Held], now: &[Held]) -> Vec<Held> {
    let same = |held: &Held| (held.by.holder.clone(), held.name.clone());
    let lasts = |held: &&Held| before.iter().any(|other| same(other) == same(held));
    now.iter().filter(lasts).cloned().collect()
}

impl Held {
    /// What is amiss.
    pub(super) fn said(&self) -> String {
        let Self { name, by, .. } = self;
        let who = &by.who;
        let whom = if self.from_readers {
            "everybody"
        } else {
            "whoever writes"
        };
        format!("{who} keeps {name} locked against {whom}")
    }

    /// The statement that mends it.
    pub(super) fn remedy(&self) -> &str {
        &self.by.remedy
    }
}
