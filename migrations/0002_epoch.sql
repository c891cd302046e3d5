-- Epoch: which database this is, and what has happened to it since, so that an old offset is never misread.
--
-- An offset says "I have seen these transactions". That is worth nothing in another database, in a copy or an older state of
-- this one, after a crash that undid commits, or once events that it has not seen were removed. This row tells.
--
-- Guarantee: an offset that can't be judged by this row is answered with "load everything again", never with a gap.
-- Cost:      none for writers. Servers look at the row when they connect and with each read.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs.

create table rowcast.epoch (
  only_row boolean primary key default true check (only_row),
  value bigint not null,
  system_identifier bigint,
  timeline int,
  database oid,
  recovered bigint[] not null default '{}',
  pruned pg_snapshot
);
comment on table rowcast.epoch is 'one row: the life of this database that offsets belong to';
comment on column rowcast.epoch.value is
  'a random number that each offset carries; a server that finds another cluster, timeline or database than this row''s draws a new one';
comment on column rowcast.epoch.system_identifier is 'the cluster: a dump that is restored elsewhere has another';
comment on column rowcast.epoch.timeline is 'of the cluster: a standby that takes over begins a new one';
comment on column rowcast.epoch.database is 'within the cluster: a copy of this database has another';
comment on column rowcast.epoch.recovered is 'for each crash that a server found out about, the next transaction id after it';
comment on column rowcast.epoch.pruned is
  'every event that was ever removed is visible in this snapshot: who has not seen all of it may have missed one';

-- Where the role that migrates may not read the control file, the first server fills in what is null here.
insert into rowcast.epoch (value, system_identifier, timeline, database)
values (
  ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint,
  case when has_function_privilege('pg_control_system()', 'execute')
       then (select system_identifier from pg_control_system()) end,
  case when has_function_privilege('pg_control_checkpoint()', 'execute')
       then (select timeline_id from pg_control_checkpoint()) end,
  (select oid from pg_database where datname = current_database())
);

-- Postgres empties an unlogged table when it recovers from a crash, and not when it was stopped in an orderly way. So a server
-- that finds no row here knows of a crash. A transaction with synchronous_commit = off can be seen and then undone by
-- one, and its transaction id goes to somebody else.
create unlogged table rowcast.uncrashed (
  only_row boolean primary key default true check (only_row)
);
comment on table rowcast.uncrashed is 'has a row unless Postgres has crashed and no server has noticed yet';
insert into rowcast.uncrashed default values;
