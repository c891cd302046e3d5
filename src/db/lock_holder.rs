//! Who holds a lock: a session, or a prepared transaction.
//!
//! `pg_locks` has no pid for a prepared transaction. It belongs to no session, outlives a restart, and ends only when somebody
//! commits it or rolls it back by its name, in its own database.

/// The columns of [`LockHolder`], for a row `l` of `pg_locks` and its session `a`, if there is one, of `pg_stat_activity`.
macro_rules! holder_columns {
    () => {
        "coalesce(l.pid::text, l.virtualtransaction, '') as holder,
       case when l.pid is not null then format('pid %s (role %s, application %L%s)', l.pid, a.usename, coalesce(a.application_name, ''), ', ' || a.state)
            else coalesce((select format('the prepared transaction %L of %s', x.gid, x.owner)
                           from pg_locks t join pg_prepared_xacts x on x.transaction = t.transactionid
                           where t.locktype = 'transactionid' and t.pid is null and t.virtualtransaction = l.virtualtransaction limit 1),
                          'a prepared transaction') end as who,
       case when l.pid is not null then format('select pg_terminate_backend(%s);', l.pid)
            else coalesce((select format('rollback prepared %L; -- or: commit prepared %1$L;', x.gid)
                           from pg_locks t join pg_prepared_xacts x on x.transaction = t.transactionid
                           where t.locktype = 'transactionid' and t.pid is null and t.virtualtransaction = l.virtualtransaction limit 1),
                          'select * from pg_prepared_xacts;') end as remedy"
    };
}
pub(super) use holder_columns;

/// Who holds a lock.
#[derive(serde::Deserialize, Clone, Debug)]
pub(super) struct LockHolder {
    /// The same at two looks if it is the same holder; empty for none.
    pub(super) holder: String,
    /// In words.
    pub(super) who: String,
    /// The statement that mends it.
    pub(super) remedy: String,
}
