//! What somebody else in the database could do: run code through the triggers, or learn the secret of the servers.

use serde::Deserialize;

use super::{Doctor, Finding};

/// As whom code of attached tables' types runs, and whether the functions are as the migration made them.
const CONFINED: &str = "
select pg_get_userbyid(p.proowner)::text as role, p.proname::text as name,
       p.proowner = n.nspowner as is_owner,
       o.rolcanlogin or o.rolsuper or o.rolcreaterole or o.rolcreatedb or o.rolreplication or o.rolbypassrls
         or exists (select from pg_auth_members where member = o.oid) as has_rights,
       not p.prosecdef or strpos(p.prosrc, 'set_config(''transaction_read_only'', ''on'', true)') = 0 as is_altered
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles o on o.oid = p.proowner
where n.nspname = 'rowcast' and p.proname in ('confined_row', 'bounded_value') order by 2";

/// Roles that can read the secret and are no servers: those that may not write the epoch.
const KNOWERS: &str = "
select distinct quote_ident(r.rolname) as role
from pg_roles r cross join pg_namespace n
where n.nspname = 'rowcast' and not r.rolsuper and not pg_has_role(r.oid, n.nspowner, 'usage') and r.rolname !~ '^pg_'
  and (has_table_privilege(r.oid, (select c.oid from pg_class c where c.relnamespace = n.oid and c.relname = 'secret'), 'select')
    or has_function_privilege(r.oid, (select p.oid from pg_proc p where p.pronamespace = n.oid and p.proname = 'server_secret'), 'execute'))
  and not has_table_privilege(r.oid, (select c.oid from pg_class c where c.relnamespace = n.oid and c.relname = 'epoch'), 'update')
order by 1 limit 20";

#[derive(Deserialize)]
struct Confined {
    role: String,
    name: String,
    is_owner: bool,
    has_rights: bool,
    is_altered: bool,
}

#[derive(Deserialize)]
struct Knower {
    role: String,
}

impl Doctor {
    /// Whether code that an attached table's types bring along runs without rights.
    pub(super) async fn confined(&mut self) {
        let found = self.rows(CONFINED).await.map(|functions: Vec<Confined>| {
            let lines: Vec<_> = functions.iter().filter_map(Confined::finding).collect();
            if lines.is_empty() && functions.len() == 2 {
                vec![Finding::ok(
                    "confined",
                    "code of attached tables' types runs without rights",
                )]
            } else if functions.len() < 2 {
                let means =
                    "Rows with types of their owner's are captured value by value, as text.";
                vec![
                    Finding::warning(
                        "confined",
                        "rowcast.confined_row or bounded_value is gone",
                        means,
                    )
                    .paste("select rowcast.confine();"),
                ]
            } else {
                lines
            }
        });
        self.conclude("confined", found);
    }

    /// Whether nobody but servers knows the secret.
    pub(super) async fn secret(&mut self) {
        let found = self.rows(KNOWERS).await.map(|knowers: Vec<Knower>| {
            let line = |Knower { role }: &Knower| {
                let said = format!("{role} is no server, and can read it");
                let means = "Whoever knows it can forge typing, cut clients, and make up offsets.";
                Finding::warning("secret", said, means).paste(format!(
                    "revoke select on rowcast.secret from {role}, public; \
                     revoke execute on function rowcast.server_secret(), rowcast.signed(text, text) from {role}, public;"
                ))
            };
            if knowers.is_empty() {
                vec![Finding::ok("secret", "known to servers alone")]
            } else {
                knowers.iter().map(line).collect()
            }
        });
        self.conclude("secret", found);
    }
}

impl Confined {
    fn finding(&self) -> Option<Finding> {
        let Self { role, name, .. } = self;
        let means = "Whoever owns an attached table could run code with that role's rights, by a type with a cast to json. Attach \
             tables of owners whom you trust.";
        let (said, paste) = if self.is_owner {
            let said = format!("rowcast.{name} runs as {role}, who owns the schema rowcast");
            let paste = format!(
                "create role rowcast_capture nologin; grant rowcast_capture to {role}; select rowcast.confine(); \
                 -- the first two as a superuser, or as a role with CREATEROLE"
            );
            (said, paste)
        } else if self.has_rights {
            let said = format!("rowcast.{name} runs as {role}, who has rights or may log in");
            (
                said,
                format!(
                    "alter role {role} nologin nosuperuser nocreaterole nocreatedb noreplication nobypassrls;"
                ),
            )
        } else if self.is_altered {
            let said = format!("rowcast.{name} was altered");
            (said, "select rowcast.confine();".to_owned())
        } else {
            return None;
        };
        Some(Finding::warning("confined", said, means).paste(paste))
    }
}
