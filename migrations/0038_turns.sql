-- Turns: the servers remove old events by turns, by a row that they lock.
--
-- Anybody may take an advisory lock; a row can be locked by those alone who may update its table.
--
-- Guarantee: no role but a server's can keep old events from being removed.
-- Cost:      none for writers.
-- Rights:    roles that serve already are given what is new.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create table rowcast.turns (
  turn text primary key
);
comment on table rowcast.turns is 'one row per thing that one server does at a time; whoever does it holds the row locked';
insert into rowcast.turns values ('pruning');
analyze rowcast.turns;

do $$
declare
  role text;
begin
  for role in
    select distinct grantee::regrole::text from pg_class c cross join aclexplode(c.relacl) a
    where c.oid = 'rowcast.events'::regclass and a.grantee <> 0 and a.privilege_type = 'DELETE' and a.grantee <> c.relowner
  loop
    execute format('grant select, insert, update on rowcast.turns to %s', role);
  end loop;
  -- As for the other tables: whoever dumps reads them all.
  for role in
    select distinct grantee::regrole::text from pg_class c cross join aclexplode(c.relacl) a
    where c.oid = 'rowcast.epoch'::regclass and a.grantee <> 0 and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
  loop
    execute format('grant select on rowcast.turns to %s', role);
  end loop;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
