//! Whether vacuum can remove the dead rows of our tables, and who keeps it from that.
//!
//! Each event that is pruned and each session that is stored again leaves a dead row. All of them stay while somebody's snapshot may
//! still see them: a transaction that nobody ends, a prepared one, a replication slot, a standby that gives feedback.
//! Refuses to alarm anybody before that hurts: a long report or a backup holds vacuum back each night. So it takes many dead rows, and
//! a vacuum that came by and left them.

use std::sync::{Mutex, PoisonError};

/// Who keeps vacuum from removing what is dead. Fields of other roles' sessions are null without pg_read_all_stats.
pub(super) const HOLDERS: &str = "
  select format('pid %s, %s, %s%s', pid, usename, coalesce(nullif(application_name, ''), 'without a name'), ', ' || state) as who,
         extract(epoch from clock_timestamp() - xact_start)::float8 as seconds,
         age(coalesce(backend_xmin, backend_xid))::float8 as transactions,
         format('select pg_terminate_backend(%s);', pid) as remedy
  from pg_stat_activity
  where coalesce(backend_xmin, backend_xid) is not null and pid <> pg_backend_pid()
    and (backend_type = 'client backend' and datname = current_database() or backend_type = 'walsender')
  union all
  select format('the prepared transaction %L of %s', gid, owner), extract(epoch from clock_timestamp() - prepared)::float8,
         age(transaction)::float8, format('rollback prepared %L; -- or: commit prepared %1$L;', gid)
  from pg_prepared_xacts where database = current_database()
  union all
  select format('the replication slot %s%s', slot_name, case when active then '' else ', which nobody uses' end), null,
         greatest(age(xmin), age(catalog_xmin))::float8, format('select pg_drop_replication_slot(%L);', slot_name)
  from pg_replication_slots where xmin is not null or catalog_xmin is not null";

/// The transactions that are open now, for a role that may not know for how long they have been: everybody sees that they lock themselves.
const OPEN: &str = "
  select l.virtualtransaction as transaction, format('pid %s, %s, %s', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'without a name')) as who,
         format('select pg_terminate_backend(%s);', a.pid) as remedy
  from pg_locks l join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock' and l.granted and l.pid <> pg_backend_pid()
    and a.datname = current_database() and a.usename is not null
  order by l.pid limit 200";

/// Dead rows that are no bloat yet: vacuum comes after 20,000 by itself.
pub(super) const MANY_DEAD: f64 = 100_000.0;

/// The statement whose row, if there is one, is the table of ours with the most dead rows, as [`Bloat`] has it.
pub(super) fn bloat_sql() -> String {
    format!(
        "select format('rowcast.%I', c.relname) as name, pg_stat_get_dead_tuples(c.oid) as dead,
                pg_stat_get_vacuum_count(c.oid) + pg_stat_get_autovacuum_count(c.oid) as vacuums,
                (select row_to_json(h) from (select who, remedy from ({HOLDERS}) h order by transactions desc nulls last limit 1) h) as holder,
                (select coalesce(json_agg(o), '[]') from ({OPEN}) o) as open,
                quote_ident(current_user) as role, pg_has_role('pg_read_all_stats', 'usage') as sees_others
         from pg_class c
         where c.relname in ('events', 'sessions') and c.relnamespace = (select oid from pg_namespace where nspname = 'rowcast')
           and pg_stat_get_dead_tuples(c.oid) > greatest(pg_stat_get_live_tuples(c.oid), {MANY_DEAD})
         order by dead desc limit 1"
    )
}

/// A table with many dead rows.
#[derive(serde::Deserialize, Clone, Debug)]
pub(super) struct Bloat {
    name: String,
    dead: i64,
    /// How many vacuums of it have ended.
    vacuums: i64,
    holder: Option<Holder>,
    open: Vec<Open>,
    role: String,
    sees_others: bool,
}

#[derive(serde::Deserialize, Clone, Debug)]
struct Holder {
    who: String,
    remedy: String,
}

#[derive(serde::Deserialize, Clone, Debug)]
struct Open {
    transaction: String,
    #[serde(flatten)]
    by: Holder,
}

/// Remembers the table that had many dead rows at the last looks, as it was at the first of them.
#[derive(Debug, Default)]
pub(super) struct VacuumWatch(Mutex<Option<Bloat>>);

impl VacuumWatch {
    /// What is amiss, once a vacuum has left the dead rows where they are.
    pub(super) fn fault(&self, bloat: Option<&Bloat>) -> Option<String> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bloat) = bloat else {
            *seen = None;
            return None;
        };
        match &*seen {
            Some(first) if first.name == bloat.name => {
                (bloat.vacuums > first.vacuums).then(|| bloat.said(first))
            }
            _ => {
                *seen = Some(bloat.clone());
                None
            }
        }
    }
}

impl Bloat {
    /// `first`: as it was before the vacuum.
    fn said(&self, first: &Self) -> String {
        let Self {
            name, dead, role, ..
        } = self;
        let said = format!("vacuum can't remove {dead} dead rows of {name}, and it grows");
        // Whose transaction is hidden from us, but that it is still the same one is not.
        let is_open = |open: &&Open| {
            let before = &first.open;
            before.iter().any(|b| b.transaction == open.transaction)
        };
        let open = self.open.iter().find(is_open).map(|open| &open.by);
        match self.holder.as_ref().or(open) {
            Some(Holder { who, remedy }) => {
                format!("{said}: {who} may still see them; {remedy}")
            }
            None if self.sees_others => format!(
                "{said}: a transaction may still see them, or has until lately; rowcast doctor says more"
            ),
            None => format!(
                "{said}: a transaction may still see them, and whose is hidden from {role}; grant pg_read_all_stats to {role}; and rowcast doctor names it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bloat(vacuums: i64) -> Bloat {
        Bloat {
            name: "rowcast.events".to_owned(),
            dead: 200_000,
            vacuums,
            holder: None,
            open: Vec::new(),
            role: "server".to_owned(),
            sees_others: false,
        }
    }

    #[test]
    fn dead_rows_are_a_fault_when_a_vacuum_has_left_them() {
        let watch = VacuumWatch::default();
        assert_eq!(
            watch.fault(Some(&bloat(3))),
            None,
            "vacuum may be about to come"
        );
        assert_eq!(watch.fault(Some(&bloat(3))), None);
        let fault = watch.fault(Some(&bloat(4))).expect("it came and left them");
        assert!(
            fault.contains("grant pg_read_all_stats to server;"),
            "{fault}"
        );
        let with_open = |vacuums, transactions: &[&str]| {
            let open = transactions.iter().map(|transaction| Open {
                transaction: (*transaction).to_owned(),
                by: Holder {
                    who: format!("who has {transaction}"),
                    remedy: String::new(),
                },
            });
            Bloat {
                open: open.collect(),
                ..bloat(vacuums)
            }
        };
        assert_eq!(watch.fault(None), None);
        assert_eq!(watch.fault(Some(&with_open(5, &["3/7", "4/1"]))), None);
        let fault = watch.fault(Some(&with_open(6, &["3/8", "4/1"])));
        assert!(fault.is_some_and(|fault| fault.contains("who has 4/1")));
        assert_eq!(watch.fault(None), None);
        assert_eq!(watch.fault(Some(&bloat(9))), None, "these are others");
    }
}
