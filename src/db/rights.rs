//! What a server's role needs: the rights on our schema, each with what is amiss without it, and rows that are not hidden from it.
//!
//! One list for everybody who asks: the self-check of a server, `rowcast doctor`, and `rowcast grant`, which gives what it names.
//! A new table or function that the server uses is added here, and nowhere else.

use std::fmt::Write as _;

use crate::status::Check;

/// An object of the schema `rowcast`, or that schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Schema,
    Table,
    /// Every function of that name.
    Function,
    /// The same of the chat tables, which a database need not have.
    ChatFunction,
}

impl Kind {
    pub(super) fn is_function(self) -> bool {
        matches!(self, Self::Function | Self::ChatFunction)
    }
}

/// What the server's role needs of one object.
pub(super) struct Right {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) privileges: &'static [&'static str],
    /// The check of readiness that fails without it.
    pub(super) check: Check,
    /// What goes wrong without it.
    pub(super) without: &'static str,
}

const fn right(
    kind: Kind,
    name: &'static str,
    privileges: &'static [&'static str],
    check: Check,
    without: &'static str,
) -> Right {
    Right {
        kind,
        name,
        privileges,
        check,
        without,
    }
}

/// Everything that `rowcast serve` needs, but for the attached tables.
#[rustfmt::skip]
pub(super) const SERVE: &[Right] = &[
    right(Kind::Schema, "rowcast", &["usage"], Check::Rights, "the server can use nothing of Rowcast's"),
    right(Kind::Table, "events", &["select"], Check::Rights, "the server can read no event"),
    right(Kind::Table, "events", &["delete"], Check::Retention, "old events are never removed, and the table grows"),
    right(Kind::Table, "epoch", &["select", "update"], Check::Rights, "the server can't tell which offsets are good, and doesn't start"),
    right(Kind::Function, "server_secret", &["execute"], Check::Rights, "the server can't tell which offsets are good, and doesn't start"),
    right(Kind::Function, "signed", &["execute"], Check::Sessions, "the server can't tell others that a session was taken over, and refuses resumes"),
    right(Kind::Table, "uncrashed", &["select", "insert"], Check::Rights, "the server can't tell whether Postgres crashed, and doesn't start"),
    right(Kind::Table, "sessions", &["select", "insert", "update"], Check::Sessions, "the server can't store sessions, and refuses joins"),
    right(Kind::Table, "turns", &["select", "insert", "update"], Check::Retention, "old events are never removed, and the table grows"),
    right(Kind::Table, "sessions", &["delete"], Check::Retention, "old sessions are never removed, and the table grows"),
    right(Kind::Table, "revocations", &["select"], Check::Rights, "the server can't tell whose rights have ended, and doesn't start"),
    right(Kind::Table, "revocations", &["delete"], Check::Retention, "old revocations are never removed, and the table grows"),
    right(Kind::Table, "presence_servers", &["select", "insert", "update", "delete"], Check::Presence, "with ROWCAST_PRESENCE=on nobody knows who is in which room"),
    right(Kind::Table, "presence_of_servers", &["select", "insert", "update", "delete"], Check::Presence, "with ROWCAST_PRESENCE=on nobody knows who is in which room"),
    right(Kind::Table, "presence_departures", &["select", "insert", "delete"], Check::Presence, "with ROWCAST_PRESENCE=on nobody knows who is in which room"),
    right(Kind::Table, "attached", &["select"], Check::History, "history is refused"),
    right(Kind::Table, "sources", &["select"], Check::History, "history is refused"),
    right(Kind::Function, "follow_tables", &["execute"], Check::History, "partitions that come are not captured by themselves"),
    right(Kind::ChatFunction, "settle_conversations", &["execute"], Check::History, "the list of conversations stays behind where a commit could not bring it up to date"),
    right(Kind::Function, "truncate_payload", &["execute"], Check::Rights, "the server can't read the outbox"),
    right(Kind::Function, "is_flushed", &["execute"], Check::Rights, "the server can't tell which offsets are good"),
    right(Kind::Function, "is_plain", &["execute"], Check::History, "history is refused"),
    right(Kind::Function, "confined_row", &["execute"], Check::History, "history fails at a row with a type of its owner's"),
    right(Kind::Function, "measured_row", &["execute"], Check::History, "history fails at a large row"),
    right(Kind::Function, "texts", &["execute"], Check::History, "history fails at an array of bigint or numeric"),
    right(Kind::Function, "zoned", &["execute"], Check::History, "history fails at a table that was attached with a timezone"),
    right(Kind::Function, "careful_row", &["execute"], Check::History, "history fails at a large row"),
    right(Kind::Function, "bounded_row", &["execute"], Check::History, "history fails at a large row"),
    right(Kind::Function, "bounded_value", &["execute"], Check::History, "history fails at a large row"),
    right(Kind::Function, "relation_of", &["execute"], Check::History, "history fails at a large row"),
    right(Kind::Table, "migrations", &["select"], Check::Rights, "the server can't tell whether the schema is up to date, and doesn't start"),
];

/// The tables whose rows the server must see and write, all of them.
const TABLES: &str =
    "'events', 'epoch', 'uncrashed', 'turns', 'sessions', 'attached', 'revocations'";

/// A right that the role does not have.
#[derive(serde::Deserialize, Debug)]
pub(super) struct Missing {
    /// Its place in [`SERVE`].
    place: usize,
    privilege: String,
    /// The object is not there at all.
    absent: bool,
    /// How SQL names it: `table rowcast.events`.
    object: String,
    /// The role, quoted.
    role: String,
}

impl Missing {
    pub(super) fn right(&self) -> &'static Right {
        &SERVE[self.place.min(SERVE.len() - 1)]
    }

    /// The right that is missing, or the object.
    pub(super) fn said(&self) -> String {
        if self.absent {
            return format!("{} is not there", self.object);
        }
        format!("{} may not {} {}", self.role, self.privilege, self.object)
    }

    /// The statement that mends it.
    pub(super) fn remedy(&self) -> String {
        if self.absent {
            return "rowcast migrate".to_owned();
        }
        format!(
            "grant {} on {} to {};",
            self.privilege, self.object, self.role
        )
    }

    /// Says all of it in one line: the right, what goes wrong, and the remedy.
    pub(super) fn line(&self) -> String {
        let without = self.right().without;
        let mend = if self.absent {
            "make it"
        } else {
            "give it the right"
        };
        format!("{}: {without}; {mend}: {}", self.said(), self.remedy())
    }
}

/// The statement whose rows are the rights of [`SERVE`] that the current role does not have, as [`Missing`] has them. It asks the
/// catalog by names, because a name that is looked up as one of SQL needs USAGE on its schema.
pub(super) fn missing_sql() -> String {
    let mut wanted = String::new();
    for (place, right) in SERVE.iter().enumerate() {
        for (nth, privilege) in right.privileges.iter().enumerate() {
            let comma = if wanted.is_empty() { "" } else { ", " };
            let kind = match right.kind {
                Kind::Schema => "schema",
                Kind::Table => "table",
                Kind::Function => "function",
                Kind::ChatFunction => "chat",
            };
            let name = right.name;
            write!(
                wanted,
                "{comma}({place}, {nth}, '{kind}', '{name}', '{privilege}')"
            )
            .expect("a String takes everything");
        }
    }
    format!(
        "select w.place, w.privilege, quote_ident(current_user) as role,
                coalesce(n.oid, c.oid, p.oid) is null or w.kind = 'table' and c.oid is null or w.kind = 'function' and p.oid is null as absent,
                case w.kind when 'schema' then 'schema rowcast'
                            when 'table' then 'rowcast.' || w.name
                            else format('function rowcast.%s(%s)', w.name, pg_get_function_identity_arguments(p.oid)) end as object
         from (values {wanted}) as w (place, nth, kind, name, privilege)
         left join pg_namespace n on n.nspname = 'rowcast'
         left join pg_class c on w.kind = 'table' and c.relnamespace = n.oid and c.relname = w.name
         left join pg_proc p on w.kind in ('function', 'chat') and p.pronamespace = n.oid and p.proname = w.name
         where not coalesce(case w.kind when 'schema' then has_schema_privilege(n.oid, w.privilege)
                                        when 'table' then has_table_privilege(c.oid, w.privilege)
                                        else has_function_privilege(p.oid, w.privilege) end, false)
           and (p.oid is not null or w.kind <> 'chat')
           -- Whoever applies the migrations with another tool has another record of them.
           and (c.oid is not null or w.name <> 'migrations')
           -- What is not there is said once, and without the schema nothing is.
           and (n.oid is not null or w.kind = 'schema')
           and (w.nth = 0 or coalesce(c.oid, p.oid) is not null)
         order by w.place"
    )
}

/// Whether row security hides rows of a table of ours from the current role. A policy that lets everything through for that role
/// hides nothing. The policies are looked at only where there is row security, so the answer costs a read nothing.
macro_rules! hides_rows {
    ($table:literal) => {
        concat!(
            "(row_security_active(",
            $table,
            ")
           and (exists (select from pg_policy p where p.polrelid = ",
            $table,
            " and not p.polpermissive)
             or not exists (
               select from pg_policy p
               where p.polrelid = ",
            $table,
            " and p.polpermissive and p.polcmd = '*'
                 and pg_get_expr(p.polqual, p.polrelid) = 'true'
                 and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
                 and exists (select from unnest(p.polroles) as role where role = 0 or pg_has_role(role, 'usage')))))"
        )
    };
}
pub(in crate::db) use hides_rows;

/// The statement whose rows are our tables from which row security hides rows from the current role.
pub(super) fn hidden_sql() -> String {
    format!(
        "select 'rowcast.' || c.relname as name, quote_ident(current_user) as role
         from pg_class c
         where c.relnamespace = (select oid from pg_namespace where nspname = 'rowcast') and c.relname in ({TABLES})
           and {}
         order by 1",
        hides_rows!("c.oid")
    )
}

/// A table of which row security hides rows.
#[derive(serde::Deserialize, Debug)]
pub(super) struct Hidden {
    pub(super) name: String,
    role: String,
}

impl Hidden {
    /// What is amiss.
    pub(super) fn said(&self) -> String {
        format!(
            "row security hides rows of {} from {}",
            self.name, self.role
        )
    }

    /// The statement that mends it.
    pub(super) fn remedy(&self) -> String {
        let Self { name, role } = self;
        format!(
            "create policy rowcast_server on {name} to {role} using (true) with check (true); -- or: alter table {name} disable row level security;"
        )
    }
}
