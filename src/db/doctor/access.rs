//! What the role may do, and what it may see: rights on our schema and the attached tables, row security on both, who locks our
//! tables, and whose triggers are on them.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;

use super::{Doctor, Finding};
use crate::db::locks::{HELD, Held, lasting};
use crate::db::rights::{Hidden, Missing, hidden_sql, missing_sql};
use crate::status::Severity;

/// A lock that is there for so long has lasted.
const LASTING: Duration = Duration::from_secs(2);

/// Attached tables that the server can't read, with the statements that let it.
const UNREADABLE: &str = "
select format('%I.%I', n.nspname, c.relname) as name, quote_ident(current_user) as role,
       format('grant usage on schema %I to %I; grant select on %I.%I to %I;', n.nspname, current_user, n.nspname, c.relname, current_user) as remedy
from rowcast.sources s join pg_class c on c.oid = s.relation join pg_namespace n on n.oid = c.relnamespace
where 'insert: message:new' = any (s.events)
  and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
order by 1";

/// Attached tables of which row security hides rows from the server's role. That there are policies is their owner's business;
/// that history may lack rows is ours to say.
const HIDDEN_SOURCES: &str = "
select format('%I.%I', n.nspname, c.relname) as name, quote_ident(current_user) as role,
       exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd in ('*', 'r')) as has_policy
from rowcast.sources s join pg_class c on c.oid = s.relation join pg_namespace n on n.oid = c.relnamespace
where row_security_active(c.oid)
  and (exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive and p.polcmd in ('*', 'r'))
    or not exists (
      select from pg_policy p where p.polrelid = c.oid and p.polpermissive and p.polcmd in ('*', 'r')
        and pg_get_expr(p.polqual, p.polrelid) = 'true'
        and exists (select from unnest(p.polroles) as role where role = 0 or pg_has_role(role, 'usage'))))
order by 1";

/// Triggers on our tables that are somebody else's.
const STRANGERS: &str = "
select format('%I', t.tgname) as name, format('rowcast.%I', c.relname) as on_table
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'rowcast'
join pg_proc p on p.oid = t.tgfoid
where not t.tgisinternal and p.pronamespace <> n.oid and t.tgenabled <> 'D'
  -- Where back ends are meant to have some.
  and c.relname <> 'presence_of_servers'
order by 2, 1";

#[derive(Deserialize)]
struct Table {
    name: String,
    role: String,
    #[serde(default)]
    remedy: String,
    #[serde(default)]
    has_policy: bool,
}

impl Doctor {
    /// Each right that is missing, and one line where none is.
    pub(super) async fn rights(&mut self) {
        let missing = self.rows(&missing_sql()).await;
        let missing = missing.map(|missing: Vec<Missing>| {
            missing
                .iter()
                .map(|missing| {
                    let right = missing.right();
                    let means = format!("Without it {}.", right.without);
                    let finding = match right.check.severity() {
                        Severity::Failing => Finding::failure("rights", missing.said(), means),
                        Severity::Degraded => Finding::warning("rights", missing.said(), means),
                    };
                    finding.paste(missing.remedy())
                })
                .collect::<Vec<_>>()
        });
        let all_there = missing.as_ref().is_ok_and(Vec::is_empty);
        self.conclude("rights", missing);
        if !all_there {
            return;
        }
        let unreadable = self.rows(UNREADABLE).await;
        let unreadable = unreadable.map(|tables: Vec<Table>| {
            if tables.is_empty() {
                return vec![Finding::ok("rights", "all that a server needs")];
            }
            let line = |table: Table| {
                let said = format!("{} may not read {}", table.role, table.name);
                let means = "Its events go out; history leaves its rows out, and is answered with 503 where no other table has the room.";
                Finding::warning("rights", said, means).paste(table.remedy)
            };
            tables.into_iter().map(line).collect()
        });
        self.conclude("rights", unreadable);
    }

    /// Who keeps a table of ours locked. Looked at before whatever would wait for such a lock.
    pub(super) async fn locks(&mut self) {
        let mut held = self.rows::<Held>(HELD).await;
        if let Ok(first) = &held
            && !first.is_empty()
        {
            let first = first.clone();
            sleep(LASTING).await;
            let again = self.rows(HELD).await;
            held = again.map(|again| lasting(&first, &again));
        }
        let found = held.map(|held: Vec<Held>| {
            if held.is_empty() {
                return vec![Finding::ok("locks", "nobody keeps a table of ours locked")];
            }
            let line = |held: &Held| {
                let means = "Your writers, the servers' reads or their joins wait until that transaction has ended.";
                Finding::failure("locks", held.said(), means).paste(held.remedy())
            };
            held.iter().map(line).collect()
        });
        self.conclude("locks", found);
    }

    /// Triggers that somebody else has put on our tables.
    pub(super) async fn triggers(&mut self) {
        #[derive(Deserialize)]
        struct Stranger {
            name: String,
            on_table: String,
        }
        let strangers = self.rows(STRANGERS).await;
        let found = strangers.map(|strangers: Vec<Stranger>| {
            if strangers.is_empty() {
                let said = "none but Rowcast's own are on its tables";
                return vec![Finding::ok("triggers", said)];
            }
            let line = |Stranger { name, on_table }: Stranger| {
                let said = format!("the trigger {name} on {on_table} is not Rowcast's");
                let means = "It runs for each row that is written there. Where it raises, so does what writes: your back end for \
                             rowcast.events, a join for rowcast.sessions.";
                Finding::warning("triggers", said, means)
                    .paste(format!("drop trigger {name} on {on_table};"))
            };
            strangers.into_iter().map(line).collect()
        });
        self.conclude("triggers", found);
    }

    pub(super) async fn row_security(&mut self) {
        let ours = self.rows(&hidden_sql()).await;
        let ours = ours.map(|hidden: Vec<Hidden>| {
            let line = |hidden: &Hidden| {
                let means = "The server takes a hidden row for one that isn't there: no event, no session, no attached table.";
                Finding::failure("row_security", hidden.said(), means).paste(hidden.remedy())
            };
            hidden.iter().map(line).collect::<Vec<_>>()
        });
        let mut none = ours.as_ref().is_ok_and(Vec::is_empty);
        self.conclude("row_security", ours);
        let theirs = self.rows(HIDDEN_SOURCES).await;
        let theirs = theirs.map(|tables: Vec<Table>| {
            let line = |Table {
                            name,
                            role,
                            has_policy,
                            ..
                        }: Table| {
                let what = if has_policy { "may hide" } else { "hides all" };
                let said = format!("row security {what} rows of {name} from {role}");
                let means = "Events go out all the same; history lacks the rows that are hidden.";
                Finding::warning("row_security", said, means).paste(format!(
                    "create policy rowcast_server on {name} for select to {role} using (true);"
                ))
            };
            tables.into_iter().map(line).collect::<Vec<_>>()
        });
        none &= theirs.as_ref().is_ok_and(Vec::is_empty);
        self.conclude("row_security", theirs);
        if none {
            self.add(Finding::ok("row_security", "hides nothing from the role"));
        }
    }
}
