//! What can befall an attached table, what is said of it, and what mends it.
//!
//! `{t}` is the table, attached as `ATTACH` says. `{r}` is the role of the server, `{o}` another role without rights. `{reason}` is
//! what the event of a row without a room says.

/// How the tables are attached.
pub(super) const ATTACH: &str = "select rowcast.attach('{t}', room => 'conversation:{chat}', on_insert => 'message:new',
    on_update => 'message:updated', on_delete => 'message:deleted', condition => '$.kind == \"a\"')";

/// What ends a problem.
pub(super) enum Mend {
    /// What each problem says after its last colon.
    AsSaid,
    /// `ATTACH`, on this table.
    Attach(&'static str),
    /// What is said, in words that are no SQL as they stand.
    By(&'static str),
}
use Mend::{AsSaid, Attach, By};

/// One thing that can happen.
pub(super) struct Breakage {
    /// The table's name says what.
    pub(super) table: &'static str,
    pub(super) sql: &'static str,
    pub(super) problems: &'static [&'static str],
    pub(super) mend: Mend,
}

const fn when(
    table: &'static str,
    sql: &'static str,
    problems: &'static [&'static str],
    mend: Mend,
) -> Breakage {
    Breakage {
        table,
        sql,
        problems,
        mend,
    }
}

pub(super) const BREAKAGES: [Breakage; 27] = [
    when(
        "partition",
        "create table {t}_all (like {t}) partition by list (kind); alter table {t}_all attach partition {t} default",
        &[
            "the table became a partition, and rows that are written through public.{t}_all are not sent: \
             attach that one, which takes it over",
        ],
        By("alter table public.{t}_all detach partition public.{t}"),
    ),
    when(
        "heir",
        "create table {t}_base (like {t}); alter table {t} inherit {t}_base",
        &[
            "the table inherits from public.{t}_base, and rows that are written through that one are not sent: \
             attach it, which takes this one over",
        ],
        By("alter table public.{t} no inherit public.{t}_base"),
    ),
    when(
        "inherited",
        "create table {t}_more (size int) inherits ({t})",
        &[
            "public.{t}_more inherits from it since it was attached, and its rows are not sent as they should be: attach it again",
        ],
        Attach("{t}"),
    ),
    when(
        "renamed",
        "alter table {t} rename to \"{t} New\"",
        &["renamed to public.\"{t} New\": attach it again"],
        Attach("\"{t} New\""),
    ),
    when(
        "moved",
        "create schema {t}_s; grant usage on schema {t}_s to {r}; alter table {t} set schema {t}_s",
        &["renamed to {t}_s.{t}: attach it again"],
        Attach("{t}_s.{t}"),
    ),
    when(
        "swapped",
        "alter table {t} rename to {t}_old; create table {t} (like {t}_old including all)",
        &[
            "renamed to public.{t}_old, and rows of the table that is called public.{t} now are not sent: \
             select rowcast.detach('public.{t}'), and attach it",
        ],
        By("select rowcast.detach('public.{t}'); {attach}"),
    ),
    when(
        "dropped",
        "drop table {t}",
        &["the table is gone: make it and attach it, or select rowcast.detach('public.{t}')"],
        By("select rowcast.detach('public.{t}')"),
    ),
    when(
        "anew",
        "drop table {t}; create table {t} (id int primary key, chat text, kind text, extra text, number int)",
        &["the table was made anew, or has lost its triggers: attach it again"],
        Attach("{t}"),
    ),
    when(
        "view",
        "drop table {t}; create materialized view {t} as select 1 as id",
        &[
            "public.{t} is a materialized view, which can't be attached: select rowcast.detach('public.{t}'), and attach a table",
        ],
        By("select rowcast.detach('public.{t}')"),
    ),
    when(
        "disabled",
        "alter table {t} disable trigger all",
        &[
            "the trigger rowcast_delete is disabled: alter table public.{t} enable trigger rowcast_delete",
            "the trigger rowcast_insert is disabled: alter table public.{t} enable trigger rowcast_insert",
            "the trigger rowcast_truncate is disabled: alter table public.{t} enable trigger rowcast_truncate",
            "the trigger rowcast_update is disabled: alter table public.{t} enable trigger rowcast_update",
        ],
        AsSaid,
    ),
    when(
        "replica_trigger",
        "alter table {t} enable replica trigger rowcast_insert",
        &[
            "the trigger rowcast_insert fires for a replica only: alter table public.{t} enable trigger rowcast_insert",
        ],
        AsSaid,
    ),
    when(
        "no_trigger",
        "drop trigger rowcast_insert on {t}",
        &["the trigger rowcast_insert is missing: attach it again"],
        Attach("{t}"),
    ),
    when(
        "no_function",
        "drop function rowcast.capture_public_{t}_update() cascade",
        &["the trigger rowcast_update is missing: attach it again"],
        Attach("{t}"),
    ),
    when(
        "other_trigger",
        "create or replace trigger rowcast_update after update of kind on {t} for each statement
         execute function rowcast.capture_public_{t}_update()",
        &["the trigger rowcast_update was replaced by another: attach it again"],
        Attach("{t}"),
    ),
    when(
        "other_function",
        "create or replace function rowcast.capture_public_{t}_insert() returns trigger language plpgsql security definer
         as 'begin return null; end'",
        &["the function rowcast.capture_public_{t}_insert was replaced: attach it again"],
        Attach("{t}"),
    ),
    when(
        "twice",
        "alter trigger rowcast_insert on {t} rename to mine; {attach}",
        &["the trigger mine sends each insert once more: drop trigger mine on public.{t}"],
        AsSaid,
    ),
    when(
        "no_room",
        "alter table {t} drop column chat",
        &["the column chat of the room is gone, so no row has a room: attach it again"],
        By("alter table {t} add column chat text; {attach}"),
    ),
    when(
        "other_room",
        "alter table {t} rename column chat to talk",
        &[
            "the column chat of the room is gone, so no row has a room: attach it again",
            "the column talk is not sent: attach it again",
        ],
        By("select rowcast.attach('{t}', room => 'conversation:{talk}', on_insert => 'message:new')"),
    ),
    when(
        "no_condition",
        "alter table {t} drop column kind",
        &["the column kind of the condition is gone, so no row meets it: attach it again"],
        By("select rowcast.attach('{t}', room => 'conversation:{chat}', on_insert => 'message:new')"),
    ),
    when(
        "less",
        "alter table {t} drop column extra",
        &["the column extra is gone: attach it again"],
        Attach("{t}"),
    ),
    when(
        "more",
        "alter table {t} add column media text",
        &["the column media is not sent: attach it again"],
        Attach("{t}"),
    ),
    when(
        "typed",
        "create type {t}_mood as enum ('fine'); alter table {t} alter number type bigint,
           alter extra type {t}_mood using 'fine'",
        &[
            "the type of the column extra was text and is public.{t}_mood: attach it again",
            "the type of the column number was integer and is bigint: attach it again",
        ],
        Attach("{t}"),
    ),
    when(
        "secured",
        "create policy mine on {t} using (chat = current_setting('my.chat', true)); alter table {t} enable row level security",
        &[
            "row security may hide rows from {r}, and so from history: alter role {r} bypassrls, or \
             create policy rowcast on public.{t} for select to {r} using (true)",
        ],
        By("create policy rowcast on public.{t} for select to {r} using (true)"),
    ),
    when(
        "raising",
        "insert into {t} values (1, '42', 'hidden by the condition');
         create function {t}_f() returns boolean language plpgsql as 'begin raise ''no''; end';
         create policy mine on {t} using ({t}_f()); alter table {t} enable row level security",
        &[
            "row security may hide rows from {r}, and so from history: alter role {r} bypassrls, or \
             create policy rowcast on public.{t} for select to {r} using (true)",
        ],
        By("create policy rowcast on public.{t} for select to {r} using (true); drop policy mine on {t}"),
    ),
    when(
        "revoked",
        "revoke select on {t} from {r}",
        &["history may not read it: grant select on public.{t} to {r}"],
        AsSaid,
    ),
    when(
        "owned",
        "grant usage on schema rowcast to {o}; alter function rowcast.capture_public_{t}_insert() owner to {o}",
        &[
            "{o}, who owns its trigger functions, may not write events: grant insert on rowcast.events to {o}",
        ],
        AsSaid,
    ),
    when(
        "roomless",
        "insert into {t} values (1, null, 'a'), (2, '', 'a')",
        &[
            "a row was not sent lately because {reason}: mend such rows, or leave them out \
             by a condition; select at, data from rowcast.events where source = 'public.{t}' and room is null",
        ],
        By("delete from rowcast.events where source = 'public.{t}'"),
    ),
];
