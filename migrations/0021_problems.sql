-- Problems: what keeps a source from being captured, or its history from being read, as it was attached.
--
-- Guarantee: each problem is one line that names the thing and what mends it, and stays the same text while it lasts.
-- Cost:      none for writers. A server reads the view every few seconds; it reads the catalog once for all sources, takes no
--            lock on any attached table, and computes `problems` only where that column is asked for.
-- Rights:    the view is read with its owner's rights, but what it says of rights and of row security is said of the role that
--            asks. It calls no function of ours, since each would need a grant for that role.
--
-- docs/sql.md lists the problems, with what each means.

create or replace view rowcast.sources as
with
-- Every trigger that calls a trigger function of ours. '`' is the character after '_'.
triggers as materialized (
  select p.proname::text as function, p.proowner, p.xmin::text as version, p.prosecdef, p.prosrc,
         t.tgrelid, t.tgname, t.tgenabled, t.tgtype, t.tgqual is not null or t.tgattr::text <> '' as narrowed
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
  select distinct on (source) source, data ->> 'reason' as reason
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
             or bool_or(t.tgenabled in ('D', 'R') or t.narrowed or t.tgtype & o.type_bit = 0
                        or t.version is distinct from b.made -> 'code' -> o.operation ->> 0) as amiss
    from rowcast.attached b cross join operations o
    join triggers t on t.function = 'capture_' || b.capture || '_' || o.operation
    group by b.source
  ) carrier on carrier.source = a.source
  left join lateral (
    -- By the catalog, because to_regclass needs USAGE on the table's schema; by the parts of the name, because how a name
    -- is quoted is a setting.
    select c.oid as relation from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname = (parse_ident(a.source))[2] and n.nspname = (parse_ident(a.source))[1]
  ) named on true
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
                                           when 'p' then 'a partitioned table' else 'not a table' end, a.source)
           where f.carrier is null and c.relkind <> 'r'
           union all
           select 1, 'the table was made anew, or has lost its triggers: attach it again'
           where f.carrier is null and c.relkind = 'r'
           union all
           select 2, case
             when exists (select from pg_class other where other.oid = f.named and other.relkind in ('r', 'p', 'f', 'm')) then
               format('renamed to %s, and rows of the table that is called %s now are not sent: select rowcast.detach(%2$L), and attach it',
                      here.name, a.source)
             else format('renamed to %s: attach it again', here.name) end
           where f.carrier is distinct from f.named and f.carrier is not null
           union all
           select 2, format('the table became a partition, and rows that are written through %s are not sent: alter table %1$s detach partition %s',
                            parent.name, here.name)
           from pg_inherits i join tables parent on parent.oid = i.inhparent
           where i.inhrelid = c.oid and c.relispartition and f.carrier is not null
           union all
           select 2, format('the table is part of an inheritance tree, and rows that are written through %s are not sent: alter table %s no inherit %s',
                            case when i.inhrelid = c.oid then parent.name else child.name end, child.name, parent.name)
           from pg_inherits i join tables parent on parent.oid = i.inhparent join tables child on child.oid = i.inhrelid
           where c.oid in (i.inhrelid, i.inhparent) and c.relkind = 'r' and not c.relispartition and f.carrier is not null
           union all
           -- Its triggers and their functions.
           select 3, format('the trigger rowcast_%s is missing: attach it again', o.operation)
           from operations o
           where f.carrier is not null and o.operation <> all (f.operations)
             and (a.events @> jsonb_build_array(jsonb_build_object('on', o.operation))
                  or o.operation = 'update' and (a.room_columns <> '{}' or a.condition is not null))
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
               when t.narrowed or t.tgtype & o.type_bit = 0 then
                 format('the trigger %s was replaced by another: attach it again', t.tgname)
               when t.tgenabled = 'D' then
                 format('the trigger %I is disabled: alter table %s enable trigger %1$I', t.tgname, its.name)
               when t.tgenabled = 'R' then
                 format('the trigger %I fires for a replica only: alter table %s enable trigger %1$I', t.tgname, its.name)
             end,
             case when t.version <> made.code ->> 0 and md5(t.prosecdef || t.prosrc) <> made.code ->> 1 then
               format('the function rowcast.%s was replaced: attach it again', t.function)
             end])
           from operations o
           join triggers t on t.function = 'capture_' || a.capture || '_' || o.operation
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
           select 4, format('the subscription %s writes it, and rows that it applies are not sent: attach the table where it is published',
                            s.subname)
           from pg_subscription_rel r join pg_subscription s on s.oid = r.srsubid
           where r.srrelid = c.oid
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
             when strpos(a.condition, '$.' || to_json(was.name)) > 0 then
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
           from late where late.source = a.source
         ) problems
         where problem is not null
         order by place, problem) as problems,
       a.attached_at,
       c.oid::regclass as relation,
       a.key_columns, a.room_columns, a.row_sql,
       coalesce(f.operations, '{}') as captured
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
