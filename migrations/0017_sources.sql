-- Sources: what is attached, and what keeps a source from being captured, or its history from being read, as it was attached.
--
-- Guarantee: each problem is one line that names the thing and what mends it, and stays the same text while it lasts.
-- Cost:      none for writers. A server reads the view every few seconds; it reads the catalog once for all sources, takes no
--            lock on any attached table, and computes `problems` only where that column is asked for.
-- Rights:    the view is read with its owner's rights, but what it says of rights and of row security is said of the role that
--            asks. It calls no function of ours, since each would need a grant for that role.
--
-- docs/sql.md lists the problems, with what each means.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create view rowcast.sources as
with recursive
-- Every trigger that calls a trigger function of ours. '`' is the character after '_'. That of a part was made by us, by Postgres, which copies
-- triggers for each row to partitions, or by TimescaleDB, which copies them to chunks.
triggers as materialized (
  select p.proname::text as function, p.proowner, p.xmin::text as version, p.prosecdef, p.prosrc,
         t.tgrelid, t.tgname, t.tgenabled, t.tgtype, t.tgqual is not null or t.tgattr::text <> '' as narrowed,
         t.tgparentid <> 0 or starts_with(t.tgname, 'rowcast_part_')
           or exists (select from pg_class its join pg_namespace n on n.oid = its.relnamespace
                      where its.oid = t.tgrelid and n.nspname = '_timescaledb_internal') as of_part
  from pg_proc p join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
  where p.pronamespace = 'rowcast'::regnamespace and p.proname >= 'capture_' and p.proname < 'capture`'
),
-- Every table by its name.
tables as not materialized (
  select c.oid, format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
),
-- Whose rights the functions have.
owners as materialized (
  select oid, has_schema_privilege(oid, 'rowcast', 'usage') as may_use,
         has_table_privilege(oid, 'rowcast.events', 'insert') as may_insert
  from (select distinct proowner as oid from triggers) owner
),
operations (operation, type_bit) as (values ('insert', 4), ('delete', 8), ('update', 16)),
-- Rows that became no event, of the last two hundred of all sources.
late as materialized (
  select distinct on (source) source, at, data ->> 'reason' as reason
  from (
    -- In this order because only the index of rooms has it.
    select source, at, data from rowcast.events where room is null order by room desc, xid desc, id desc limit 200
  ) last
  where at > now() - interval '10 minutes' order by source, at desc
),
-- Of each attached table, the one that has its triggers and the one that has its name. `amiss` says that a trigger or a function
-- is worth a closer look.
found as (
  select a.source, case when named.relation = any (carrier.relations) then named.relation else carrier.relations[1] end as carrier,
         named.relation as named, carrier.operations, carrier.fires, carrier.amiss
  from rowcast.attached a
  left join (
    select b.source, array_agg(distinct t.tgrelid) as relations, array_agg(distinct o.operation) as operations,
           bool_or(t.tgenabled = 'O') as fires,
           count(*) > count(distinct o.operation)
             or bool_or(t.tgenabled in ('D', 'R') or b.always and t.tgenabled <> 'A' or t.narrowed or t.tgtype & o.type_bit = 0
                        or (t.tgtype & 1 = 1) <> coalesce(b.by_row, false)
                        or t.version is distinct from b.made -> 'code' -> o.operation ->> 0) as amiss
    from rowcast.attached b cross join operations o
    join triggers t on t.function = 'capture_' || b.capture || '_' || o.operation and not t.of_part
    group by b.source
  ) carrier on carrier.source = a.source
  left join lateral (
    -- By the catalog, because to_regclass needs USAGE on the table's schema; by the parts of the name, because how a name
    -- is quoted is a setting.
    select c.oid as relation from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname = (parse_ident(a.source))[2] and n.nspname = (parse_ident(a.source))[1]
  ) named on true
),
-- The parts of each, those of parts included. What TimescaleDB makes is its own matter.
parts (source, relation) as (
  select f.source, i.inhrelid from found f join pg_inherits i on i.inhparent = f.carrier and not i.inhdetachpending
  union
  select p.source, i.inhrelid from parts p join pg_inherits i on i.inhparent = p.relation and not i.inhdetachpending
),
parted as materialized (
  select p.source, p.relation, its.relkind, its.relispartition, its.reltuples, format('%I.%I', n.nspname, its.relname) as name
  from parts p join pg_class its on its.oid = p.relation join pg_namespace n on n.oid = its.relnamespace
  where n.nspname <> '_timescaledb_internal'
)
select a.source, a.room, a.order_column,
       array(
         select concat(e ->> 'on', ' of ' || (select string_agg(c, ', ') from jsonb_array_elements_text(e -> 'columns') as c),
                       ': ', e ->> 'event')
         from jsonb_array_elements(a.events) with ordinality as x (e, place) order by place) as events,
       a.condition,
       array(
         select problem collate "default" from (
           -- The table itself.
           select 1 as place, format('the table is gone: make it and attach it, or select rowcast.detach(%L)', a.source) as problem
           where f.carrier is null and f.named is null
           union all
           select 1, format('%s is %s, which can''t be attached: select rowcast.detach(%L), and attach a table', a.source,
                            case c.relkind when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table'
                                           else 'not a table' end, a.source)
           where f.carrier is null and c.relkind not in ('r', 'p')
           union all
           select 1, 'the table was made anew, or has lost its triggers: attach it again'
           where f.carrier is null and c.relkind in ('r', 'p')
           union all
           select 2, case
             when exists (select from pg_class other where other.oid = f.named and other.relkind in ('r', 'p', 'f', 'm')) then
               format('renamed to %s, and rows of the table that is called %s now are not sent: select rowcast.detach(%2$L), and attach it',
                      here.name, a.source)
             else format('renamed to %s: attach it again', here.name) end
           where f.carrier is distinct from f.named and f.carrier is not null
           union all
           select 2, format('the table became a partition, and rows that are written through %s are not sent: attach that one, which takes it over',
                            parent.name)
           from pg_inherits i join tables parent on parent.oid = i.inhparent
           where i.inhrelid = c.oid and c.relispartition and f.carrier is not null and a.by_row is not true
           union all
           select 2, format('the table inherits from %s, and rows that are written through that one are not sent: attach it, which takes this one over',
                            parent.name)
           from pg_inherits i join tables parent on parent.oid = i.inhparent
           where c.oid = i.inhrelid and c.relkind = 'r' and not c.relispartition and f.carrier is not null and a.by_row is not true
           union all
           select 2, format('%s inherits from it since it was attached, and its rows are not sent as they should be: attach it again', p.name)
           from parted p
           where p.source = a.source and c.relkind = 'r' and a.tree is not true
           union all
           -- Its parts. Statements that name the table itself are captured in any case.
           select 2, case
             when p.relkind not in ('r', 'p') then
               format('its part %s is a foreign table, whose rows no trigger of a statement can tell: alter table %s detach partition %1$s', p.name, here.name)
             when not has_table_privilege(n.nspowner, p.relation, 'trigger') then
               format('rows that are written to its part %s by that name are not sent: grant trigger on %1$s to %I', p.name, pg_get_userbyid(n.nspowner))
             else format('rows that are written to its part %s by that name are not sent: select rowcast.follow_tables()', p.name) end
           from parted p join pg_namespace n on n.nspname = 'rowcast'
           where p.source = a.source and a.tree
             and case when p.relkind in ('r', 'p') then exists (
                   select from unnest(f.operations || '{truncate}'::text[]) as needed (operation)
                   where (needed.operation = 'truncate' or not (p.relispartition and a.by_row is true))
                     and not exists (select from triggers t where t.tgrelid = p.relation and t.of_part
                                                              and t.function = 'capture_' || a.capture || '_' || needed.operation))
                 else a.by_row is not true end
           union all
           select 3, case t.tgenabled
             when 'D' then format('the trigger %I is disabled: alter table %s enable trigger %1$I', t.tgname, p.name)
             when 'R' then format('the trigger %I fires for a replica only: alter table %s enable trigger %1$I', t.tgname, p.name)
             else format('the trigger %I does not fire always: alter table %s enable always trigger %1$I', t.tgname, p.name) end
           from parted p join triggers t on t.tgrelid = p.relation and t.of_part
           where p.source = a.source and t.function like 'capture\_' || replace(a.capture, '_', '\_') || '\_%'
             and (t.tgenabled in ('D', 'R') or a.always and t.tgenabled <> 'A')
           union all
           -- Its triggers and their functions.
           select 3, format('the trigger rowcast_%s is missing: attach it again', o.operation)
           from operations o
           where f.carrier is not null and o.operation <> all (f.operations)
             and (a.events @> jsonb_build_array(jsonb_build_object('on', o.operation))
                  or o.operation = 'update' and (concat(a.room, a.rooms) ~ '\{' or a.condition is not null or a.rooms @? '$[*].condition'))
           union all
           select 3, case t.tgenabled
             when 'D' then format('the trigger %I is disabled: alter table %s enable trigger %1$I', t.tgname, here.name)
             when 'R' then format('the trigger %I fires for a replica only: alter table %s enable trigger %1$I', t.tgname, here.name)
             else 'a TRUNCATE of it is told to nobody: attach it again' end
           from (select) one left join triggers t on t.tgrelid = f.carrier and t.function = 'capture_' || a.capture || '_truncate'
           where f.carrier is not null and t.tgenabled is distinct from 'O' and t.tgenabled is distinct from 'A'
           union all
           select 3, unnest(array[
             case
               when t.tgrelid <> f.carrier then
                 format('the trigger %I on %s sends changes of that table as this one''s: drop trigger %1$I on %2$s', t.tgname, its.name)
               when t.tgname <> 'rowcast_' || o.operation and exists (
                   select from triggers twin where twin.function = t.function and twin.tgrelid = t.tgrelid
                                               and twin.tgname = 'rowcast_' || o.operation) then
                 format('the trigger %I sends each %s once more: drop trigger %1$I on %3$s', t.tgname, o.operation, its.name)
             end,
             case
               when t.narrowed or t.tgtype & o.type_bit = 0 or (t.tgtype & 1 = 1) <> coalesce(a.by_row, false) then
                 format('the trigger %s was replaced by another: attach it again', t.tgname)
               when t.tgenabled = 'D' then
                 format('the trigger %I is disabled: alter table %s enable trigger %1$I', t.tgname, its.name)
               when t.tgenabled = 'R' then
                 format('the trigger %I fires for a replica only: alter table %s enable trigger %1$I', t.tgname, its.name)
               when a.always and t.tgenabled = 'O' then
                 format('the trigger %I does not fire always: alter table %s enable always trigger %1$I', t.tgname, its.name)
             end,
             case when t.version <> made.code ->> 0 and md5(t.prosecdef || t.prosrc) <> made.code ->> 1 then
               format('the function rowcast.%s was replaced: attach it again', t.function)
             end])
           from operations o
           join triggers t on t.function = 'capture_' || a.capture || '_' || o.operation and not t.of_part
           join tables its on its.oid = t.tgrelid
           cross join lateral (select a.made -> 'code' -> o.operation as code) made
           where f.amiss
           union all
           select distinct 3, case
             when not owner.may_use then
               format('%s, who owns its trigger functions, may not use the schema rowcast: grant usage on schema rowcast to %1$I',
                      pg_get_userbyid(owner.oid))
             else format('%s, who owns its trigger functions, may not write events: grant insert on rowcast.events to %1$I',
                         pg_get_userbyid(owner.oid)) end
           from owners owner join triggers t on t.proowner = owner.oid
           join operations o on t.function = 'capture_' || a.capture || '_' || o.operation
           where not (owner.may_use and owner.may_insert)
           union all
           -- Writers whose triggers don't fire.
           select 4, format('session_replication_role is replica for %s, whose writes are not sent: alter %1$s reset session_replication_role',
                            concat_ws(' in ', case when s.setrole <> 0 then format('role %I', pg_get_userbyid(s.setrole)) end,
                                      case when s.setdatabase <> 0 then format('database %I', current_database()) end))
           from pg_db_role_setting s
           where 'session_replication_role=replica' = any (s.setconfig) and f.fires
             and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
           union all
           select 4, 'session_replication_role is replica in the configuration of Postgres, so no write is sent: set it to origin there'
           where current_setting('session_replication_role') = 'replica' and f.fires
             and (select reset_val from pg_settings where name = 'session_replication_role') = 'replica'
             and not exists (select from pg_db_role_setting where 'session_replication_role=replica' = any (setconfig))
           union all
           select 4, format('the subscription %s writes it, and rows that it applies are not sent: attach the table where it is published, '
                            'or attach it again with capture => ''row'' and always => true', s.subname)
           from pg_subscription_rel r join pg_subscription s on s.oid = r.srsubid
           where (r.srrelid = c.oid or r.srrelid in (select p.relation from parted p where p.source = a.source))
             and not (a.by_row is true and a.always is true)
           union all
           -- Its columns.
           select 5, case
             when now.attname is not null and was.name is null then
               format('the column %s is not sent: attach it again', now.attname)
             when now.attname is not null then
               format('the type of the column %s was %s and is %s: attach it again', was.name,
                      case when was.type ~ '^\d+$' then format_type(was.type::oid, null) else was.type end, format_type(now.atttypid, null))
             when was.name = any (a.room_columns) then
               format('the column %s of the room is gone, so no row has a room: attach it again', was.name)
             when strpos(concat(a.condition, replace(a.rooms::text, '\"', '"')), '$.' || to_json(was.name)) > 0 then
               format('the column %s of the condition is gone, so no row meets it: attach it again', was.name)
             else format('the column %s is gone: attach it again', was.name) end
           from (select name, a.made -> 'types' ->> name as type from unnest(a.columns) as name) was
           full join (
             select attname::text, atttypid, attgenerated,
                    case when atttypid < 16384 then atttypid::text
                         else (select typname::text from pg_type where oid = atttypid) end as type
             from pg_attribute where attrelid = f.carrier and attnum > 0 and not attisdropped
           ) now on now.attname = was.name
           where f.carrier is not null
             -- One comparison for a table that is as it was.
             and (
               select jsonb_object_agg(attname, case when atttypid < 16384 then atttypid::text
                                                     else (select typname::text from pg_type where oid = atttypid) end)
               from pg_attribute where attrelid = f.carrier and attnum > 0 and not attisdropped and attgenerated <> 'v'
             ) is distinct from a.made -> 'types'
             and (now.attname is null or was.name is null and now.attgenerated <> 'v'
                  or now.type <> was.type)
           union all
           -- What is looked up. `may_read` is said of those who own the trigger functions.
           select 5, case
             when theirs.oid is null then
               format('the table %s of the lookup "%s" is gone, renamed, or no table, so nothing is looked up: attach it again', l.value ->> 'table', l.key)
             when lost.name is not null then
               format('the column %s of %s of the lookup "%s" is gone%s: attach it again', lost.name, theirs.name, l.key,
                      case when l.value -> 'key' ? lost.name then ', so nothing is looked up' else '' end)
             when other.name is not null then
               format('the type of the column %s of %s of the lookup "%s" was %s and is %s, so nothing is looked up: attach it again', other.name,
                      theirs.name, l.key, other.was, other.type)
             when reader.oid is not null then
               format('%s, who owns its trigger functions, may not read %s of the lookup "%s": grant select on %2$s to %1$I',
                      pg_get_userbyid(reader.oid), theirs.name, l.key)
             when a.feeds <> '[]' and not (has_schema_privilege(theirs.relnamespace, 'usage') and has_table_privilege(theirs.oid, 'select')) then
               format('history may not read %s of the lookup "%s": grant usage on schema %I to %I; grant select on %1$s to %4$I', theirs.name, l.key,
                      theirs.nspname, current_user) end
           from jsonb_each(a.lookups) l
           left join lateral (
             select c.oid, c.relnamespace, n.nspname, format('%I.%I', n.nspname, c.relname) as name
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind = 'r' and c.relname = (parse_ident(l.value ->> 'table'))[2]
               and n.nspname = (parse_ident(l.value ->> 'table'))[1]
           ) theirs on true
           left join lateral (
             select name from (select jsonb_object_keys(l.value -> 'columns') as name union select jsonb_array_elements_text(l.value -> 'key')) needed
             where not exists (select from pg_attribute where attrelid = theirs.oid and attname = needed.name and not attisdropped)
             order by name limit 1
           ) lost on theirs.oid is not null
           left join lateral (
             select k.name, k.was, format_type(att.atttypid, null) as type
             from rows from (jsonb_array_elements_text(l.value -> 'key'), jsonb_array_elements_text(l.value -> 'types')) as k (name, was)
             join pg_attribute att on att.attrelid = theirs.oid and att.attname = k.name and not att.attisdropped
             join pg_type ty on ty.oid = att.atttypid
             where ty.typtype <> 'd' and format_type(att.atttypid, null) <> k.was
               and not (k.was = 'text' and att.atttypid = 'varchar'::regtype)
               and not (k.was in ('smallint', 'integer', 'bigint') and att.atttypid in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype))
             limit 1
           ) other on theirs.oid is not null
           left join lateral (
             select owner.oid from owners owner
             where exists (select from triggers t join operations o on t.function = 'capture_' || a.capture || '_' || o.operation
                           where t.proowner = owner.oid)
               and not (has_schema_privilege(owner.oid, theirs.relnamespace, 'usage') and has_table_privilege(owner.oid, theirs.oid, 'select'))
             limit 1
           ) reader on theirs.oid is not null
           where f.carrier is not null
           union all
           -- Without an index, each page of history reads the whole table. That matters once it is large; what is large is said of it as
           -- it was when it was last analyzed, so that a line does not come and go.
           select distinct 6, format('history of its rooms %s reads all of %s: create index on %2$s (%s)', wanted.room, wanted.table_name,
                                     (select string_agg(format('%I', col), ', ') from unnest(wanted.columns) as col))
           from (
             -- The table itself, by its own columns or by those that point to what is looked up.
             select feed ->> 'room' as room, own.oid, here.name as table_name, own.reltuples, by_room.columns as leading,
                    by_room.columns || array(
                      select name from unnest(coalesce(a.order_columns, array_remove(array[a.order_column], null)) || a.key_columns)
                        with ordinality as s (name, place)
                      where name <> all (by_room.columns) group by name order by min(place)) as columns
             from jsonb_array_elements(a.feeds) as feed
             -- Of a partitioned table, each partition.
             cross join lateral (
               select c.oid, c.reltuples union all
               select p.relation, p.reltuples from parted p where p.source = a.source and p.relkind = 'r'
             ) own
             cross join lateral (
               select array(
                 select col from (
                   select p ->> 'column' as col from jsonb_array_elements(feed -> 'columns') as p where p ->> 'lookup' is null
                   union
                   select col from jsonb_array_elements(feed -> 'columns') as p
                   cross join jsonb_array_elements_text(a.lookups -> (p ->> 'lookup') -> 'column') as col
                 ) ours where col = any (a.columns) order by col) as columns
             ) by_room
             where by_room.columns <> '{}'
             union all
             -- What is looked up, by the columns that the room names.
             select feed ->> 'room', theirs.oid, format('%I.%I', theirs.nspname, theirs.relname), theirs.reltuples, theirs.columns, theirs.columns
             from jsonb_array_elements(a.feeds) as feed
             cross join lateral (
               select c.oid, n.nspname, c.relname, c.reltuples, array_agg(distinct p ->> 'column' order by p ->> 'column') as columns
               from jsonb_array_elements(feed -> 'columns') as p
               join pg_class c on c.relname = (parse_ident(a.lookups -> (p ->> 'lookup') ->> 'table'))[2]
               join pg_namespace n on n.oid = c.relnamespace and n.nspname = (parse_ident(a.lookups -> (p ->> 'lookup') ->> 'table'))[1]
               group by c.oid, n.nspname, c.relname, c.reltuples
             ) theirs
           ) wanted
           where f.carrier is not null and wanted.reltuples >= 10000
             and not exists (select from unnest(wanted.columns) as col
                             where not exists (select from pg_attribute where attrelid = wanted.oid and attname = col and not attisdropped))
             and not exists (
               select from pg_index i
               where i.indrelid = wanted.oid and i.indisvalid and i.indpred is null
                 and (select array_agg(attname::text order by attname) from pg_attribute
                      where attrelid = i.indrelid and attnum = any ((i.indkey::int2[])[0 : cardinality(wanted.leading) - 1]))
                     = (select array_agg(col order by col) from unnest(wanted.leading) as col))
           union all
           -- History, which is read by the role that asks.
           select 6, case
             when not has_schema_privilege(n.oid, 'usage') then
               format('history may not read it: grant usage on schema %I to %I', n.nspname, current_user)
             when not has_table_privilege(c.oid, 'select') then
               format('history may not read it: grant select on %s to %I', here.name, current_user)
             else
               format('row security may hide rows from %s, and so from history: alter role %1$I bypassrls, or '
                      'create policy rowcast on %2$s for select to %1$I using (true)', current_user, here.name) end
           where f.carrier is not null and a.events @> '[{"on": "insert", "event": "message:new"}]'
             and (not has_schema_privilege(n.oid, 'usage') or not has_table_privilege(c.oid, 'select')
                  -- A policy that names the role is taken to be meant. One for everybody must show everything.
                  or c.relrowsecurity and row_security_active(c.oid) and (
                    not exists (
                      select from pg_policy p
                      where p.polrelid = c.oid and p.polpermissive and p.polcmd in ('r', '*')
                        and (0 <> any (p.polroles) and exists (select from unnest(p.polroles) as role
                                                              where role <> 0 and pg_has_role(role, 'usage'))
                             or 0 = any (p.polroles) and pg_get_expr(p.polqual, p.polrelid) = 'true'))
                    or exists (
                      select from pg_policy p
                      where p.polrelid = c.oid and not p.polpermissive and p.polcmd in ('r', '*')
                        and 0 = any (p.polroles) and pg_get_expr(p.polqual, p.polrelid) <> 'true')))
           union all
           select 7, format('a row was not sent lately because %s: mend such rows, or leave them out by a condition; '
                            'select at, data from rowcast.events where source = %L and room is null',
                            coalesce(late.reason, 'it could not be captured'), a.source)
           -- Of rows that a definition before this one lost, nothing is left to mend.
           from late where late.source = a.source and late.at > a.attached_at
         ) problems
         where problem is not null
         order by place, problem) as problems,
       a.attached_at,
       c.oid::regclass as relation,
       a.key_columns, a.room_columns, a.row_sql,
       coalesce(f.operations, '{}') as captured,
       array(select r.value ->> 'room' from jsonb_array_elements(coalesce(a.rooms, jsonb_build_array(jsonb_build_object('room', a.room))))
             with ordinality as r (value, place) order by place) as rooms,
       a.order_columns, a.feeds,
       case when a.by_row then 'row' else 'statement' end as capture, coalesce(a.always, false) as always
from rowcast.attached a
join found f on f.source = a.source
left join pg_class c on c.oid = coalesce(f.carrier, f.named)
left join pg_namespace n on n.oid = c.relnamespace
left join lateral (select case when n.oid is not null then format('%I.%I', n.nspname, c.relname) end as name) here on true;
comment on view rowcast.sources is
  'the attached tables; problems says what keeps a source from being captured, or read by the role that asks, as it was attached';
comment on column rowcast.sources.problems is 'each with what mends it; empty while all is well';
comment on column rowcast.sources.relation is 'the table that has the triggers, or, where they are gone, the one with the name';
comment on column rowcast.sources.captured is 'the operations that have a trigger, disabled or not';
comment on column rowcast.sources.rooms is 'the templates of all of its rooms; room is the first';
comment on column rowcast.sources.feeds is 'what history reads of it';
comment on column rowcast.sources.capture is 'whether its triggers are called for each row, or for each statement';

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
