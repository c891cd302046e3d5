//! The statements of presence.

use crate::db::numbers::notify_queue_limit;

pub(super) const LOCK: &str = "select pg_try_advisory_lock($1)";

/// How long a server behind a pooler lives after each sign of it.
macro_rules! alive_until {
    ($pooled:literal) => {
        concat!(
            "case when ",
            $pooled,
            " then clock_timestamp() + interval '3 seconds' end"
        )
    };
}
pub(super) const REGISTER: &str = concat!(
    "insert into rowcast.presence_servers (server, pid, alive_until)
     values ($1, case when not $2 then pg_backend_pid() end, ",
    alive_until!("$2"),
    ")"
);
/// Rows of a server that nobody knows: its last write was not visible yet when it was removed.
pub(super) const REMOVE_ORPHANS: &str = "
with rows as (
    delete from rowcast.presence_of_servers p
    where not exists (select from rowcast.presence_servers s where s.server = p.server)
)
delete from rowcast.presence_departures d
where not exists (select from rowcast.presence_servers s where s.server = d.server)";
/// One write: `$2` is its number. Nothing is written for a server that somebody has removed.
pub(super) const WRITE: &str = concat!(
    "
with known as (
    update rowcast.presence_servers set version = $2, complete_from = greatest(complete_from, $9) where server = $1 returning true
), written as (
    insert into rowcast.presence_of_servers as p (server, id, room, subject, connections, since, version)
    select $1, w.id, w.room, w.subject, w.connections, 'epoch'::timestamptz + make_interval(secs => w.since / 1000000.0), $2
    from unnest($3::int8[], $4::text[], $5::text[], $6::int4[], $7::int8[]) as w (id, room, subject, connections, since), known
    on conflict (server, id) do update
    set connections = excluded.connections, since = excluded.since, version = excluded.version
), removed as (
    delete from rowcast.presence_of_servers where server = $1 and id = any($8::int8[]) returning id
), departed as (
    insert into rowcast.presence_departures (server, version, id) select $1, $2, removed.id from removed, known
), forgotten as (
    delete from rowcast.presence_departures where server = $1 and version <= $9
)
select (select count(pg_notify('rowcast_presence', '')) where $10 and pg_notification_queue_usage() < ",
    notify_queue_limit!(),
    ") as told from known"
);
/// A server behind a pooler says that it lives.
pub(super) const LIVE_ON: &str = concat!(
    "update rowcast.presence_servers set alive_until = ",
    alive_until!("true"),
    " where server = $1"
);
/// All servers, this one included, each with whether it lives.
pub(super) const LOOK: &str = "
select s.server, s.version, s.complete_from,
       case when s.server = $1 then true when s.alive_until is not null then s.alive_until > clock_timestamp()
            else not (pg_try_advisory_lock_shared(s.server) and pg_advisory_unlock_shared(s.server)) end as lives
from rowcast.presence_servers s";
/// Those that have ended: whoever else holds such a lock does not keep them.
pub(super) const ENDED: &str = "
select s.server from rowcast.presence_servers s
where s.server <> $1 and case when s.alive_until is not null then s.alive_until < clock_timestamp() - interval '1 second'
    else not exists (
        select from pg_locks l
        where l.locktype = 'advisory' and l.objsubid = 1 and l.mode = 'ExclusiveLock' and l.granted and l.pid = s.pid
          and l.database = (select oid from pg_database where datname = current_database())
          and (l.classid::int8 << 32 | l.objid::int8) = s.server) end";
pub(super) const REMOVE: &str = "
with ended as (
    -- Two servers that remove at once don't wait for each other.
    select server from rowcast.presence_servers where server = any($1) for update skip locked
), rows as (
    delete from rowcast.presence_of_servers where server in (select server from ended)
), departed as (
    delete from rowcast.presence_departures where server in (select server from ended)
)
delete from rowcast.presence_servers where server in (select server from ended)";

macro_rules! remote_columns {
    () => {
        "p.server, p.id, p.room, p.subject, (extract(epoch from p.since) * 1000000)::int8 as since"
    };
}
pub(super) const ROOMS: &str = concat!(
    "select ",
    remote_columns!(),
    " from rowcast.presence_of_servers p where p.room = any($1) and p.server = any($2)"
);
/// What each server has written since a version. `$3` are the rooms that matter, if they are few.
pub(super) const CHANGES: &str = concat!(
    "select ",
    remote_columns!(),
    "
     from unnest($1::int8[], $2::int8[]) as k (server, version)
     join rowcast.presence_of_servers p on p.server = k.server and p.version > k.version
     where $3::text[] is null or p.room = any($3)
     union all
     select d.server, d.id, null, null, null
     from unnest($1::int8[], $2::int8[]) as k (server, version)
     join rowcast.presence_departures d on d.server = k.server and d.version > k.version"
);
