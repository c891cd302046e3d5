-- Confined policy: what may_join calls can't leave the role rowcast_policy.
--
-- Guarantee: a policy, and whatever it calls, runs as rowcast_policy until it returns. Set as a role alone it could say `reset role`, and
--            read what the server may read: every event, the sessions, the secret. In a security definer function Postgres refuses that.
-- Cost:      one function call for each statement that asks; may_join is planned inside.
-- Rights:    rowcast.ask_may_join belongs to rowcast_policy and does nothing that role could not. Execute is for the owner of this schema,
--            and for whoever may read rowcast.sessions, which is every server. Servers use it only while it belongs to that role.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Whether each of the rooms may be joined, in their order. `askers` says whose claims go with a room: 1 is the first.
create function rowcast.ask_may_join(claims text[], askers bigint[], rooms text[]) returns table (allowed boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
  with c as materialized (
    select u.text::jsonb as claims, u.place from unnest(ask_may_join.claims) with ordinality u (text, place)
  )
  select (rowcast.may_join(c.claims, q.room)) is true
  from rows from (unnest(ask_may_join.askers), unnest(ask_may_join.rooms)) with ordinality q (asker, room, place)
  join c on c.place = q.asker
  order by q.place;
end $$;
comment on function rowcast.ask_may_join is 'asks rowcast.may_join as the role rowcast_policy, which can''t be left meanwhile';
revoke all on function rowcast.ask_may_join(text[], bigint[], text[]) from public;

-- Gives the function to the role, which is made where there is none. An error says what is in the way.
create function rowcast.give_policy_away() returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  is_superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
  function text;
begin
  begin
    if not exists (select from pg_roles where rolname = 'rowcast_policy') then
      create role rowcast_policy nologin;
    end if;
  exception when duplicate_object or unique_violation then
    null; -- Another database of the cluster was quicker.
  end;
  grant usage on schema rowcast to rowcast_policy;
  for function in
    select format('rowcast.%I(%s)', proname, pg_get_function_identity_arguments(oid)) from pg_proc
    where pronamespace = 'rowcast'::regnamespace and proname in ('may_join', 'claims_allow', 'has_prefix')
      and not has_function_privilege('rowcast_policy', oid, 'execute')
  loop
    execute format('grant execute on function %s to rowcast_policy', function);
  end loop;
  if exists (select from pg_proc where oid = 'rowcast.ask_may_join(text[], bigint[], text[])'::regprocedure
             and pg_get_userbyid(proowner) = 'rowcast_policy') then
    return;
  end if;
  if not pg_has_role('rowcast_policy', 'usage') then
    execute format('grant rowcast_policy to %I', current_user);
  end if;
  if not is_superuser then
    -- Whoever gives a function away needs this for its new owner; nobody else ever sees it.
    grant create on schema rowcast to rowcast_policy;
  end if;
  alter function rowcast.ask_may_join(text[], bigint[], text[]) owner to rowcast_policy;
  if not is_superuser then
    revoke create on schema rowcast from rowcast_policy;
  end if;
  -- Who owns the schema gives it to servers, also where a superuser had to give the function away.
  execute format('grant execute on function rowcast.ask_may_join(text[], bigint[], text[]) to %s with grant option',
    (select nspowner::regrole from pg_namespace where nspname = 'rowcast'));
end $$;

-- The same, and says what is in the way; null if nothing is. Called again, it mends what was left undone, or was undone.
create function rowcast.confine_policy() returns text
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  server text;
begin
  perform rowcast.give_policy_away();
  for server in
    select nspowner::regrole::text from pg_namespace where nspname = 'rowcast'
    union
    select a.grantee::regrole::text from pg_class c cross join aclexplode(c.relacl) a
    where c.oid = 'rowcast.sessions'::regclass and a.privilege_type = 'SELECT' and a.grantee <> 0
  loop
    execute format('grant execute on function rowcast.ask_may_join(text[], bigint[], text[]) to %s', server);
  end loop;
  return null;
exception when others then
  return sqlerrm;
end $$;
comment on function rowcast.confine_policy is 'gives rowcast.ask_may_join to the role rowcast_policy; says what is in the way';
revoke all on function rowcast.give_policy_away(), rowcast.confine_policy() from public;

do $$
declare
  obstacle text := rowcast.confine_policy();
begin
  if obstacle is not null then
    raise notice 'rowcast: what rowcast.may_join calls can leave the role rowcast_policy: %', obstacle;
  end if;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
