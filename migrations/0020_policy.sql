-- Policy: who may join which room. It is asked for clients that have a token (ROWCAST_AUTH=jwt), and for them only.
--
-- Guarantee: rowcast.may_join is the owner's to replace. It is made here once, if there is none, and no migration touches it again.
--            Only true allows: null is no.
--            A policy, and whatever it calls, runs as rowcast_policy until it returns. Set as a role alone it could say `reset role`, and
--            read what the server may read: every event, the sessions, the secret. In a security definer function Postgres refuses that.
-- Cost:      none for writers. One read-only transaction for a join, and one for all rooms of a client that comes back.
-- Rights:    rowcast.ask_may_join belongs to rowcast_policy and does nothing that role could not: the role may use this schema and call the
--            policy, and read nothing of ours. It can't log in. Where it can't be made, the server asks as itself, and `rowcast doctor` says
--            so. Execute is for the owner of this schema, and for whoever may read rowcast.sessions, which is every server.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- A role belongs to the whole cluster: another database, or another server that migrates at this moment, may have made it.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'rowcast_policy') then
    create role rowcast_policy nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;
  when insufficient_privilege or feature_not_supported then
    raise notice 'rowcast: % may not make the role rowcast_policy: rowcast grant prints how to make it', current_user;
end $$;

-- Whether one of the texts in a JSON array ends in * and is, up to there, how the room begins.
create function rowcast.has_prefix(prefixes jsonb, room text) returns boolean
language sql stable parallel safe
return exists (
  select from pg_catalog.jsonb_array_elements_text(prefixes) p (prefix)
  where pg_catalog.right(p.prefix, 1) = '*' and pg_catalog.starts_with(has_prefix.room, pg_catalog.left(p.prefix, -1))
);
comment on function rowcast.has_prefix(jsonb, text) is 'whether a room begins as one of the prefixes, which end in *';

-- What claims alone say. A number stands for the contact whose id is written like it: 42 for 42, and not for 042. Without a subquery
-- Postgres puts the function into the statement that calls it.
create function rowcast.claims_allow(claims jsonb, room text) returns boolean
language sql stable parallel safe
return coalesce(
  case when pg_catalog.starts_with(room, 'conversation:') then
    case pg_catalog.jsonb_typeof(claims -> 'conversations')
      when 'string' then claims ->> 'conversations' = '*'
      when 'array' then claims -> 'conversations' @> pg_catalog.to_jsonb(pg_catalog.substr(room, 14))
        or case when pg_catalog.substr(room, 14) ~ '^(0|-?[1-9][0-9]*)$'
             then claims -> 'conversations' @> pg_catalog.substr(room, 14)::jsonb else false end
    end
  end, false)
  or case when pg_catalog.jsonb_typeof(claims -> 'rooms') = 'array' then
    claims -> 'rooms' @> pg_catalog.to_jsonb(room) or rowcast.has_prefix(claims -> 'rooms', room)
  else false end;
comment on function rowcast.claims_allow(jsonb, text) is
  'whether claims.conversations (contact ids, or "*") or claims.rooms (rooms, or prefixes that end in *) has the room';

revoke all on function rowcast.has_prefix, rowcast.claims_allow from public;

do $$
begin
  if pg_catalog.to_regprocedure('rowcast.may_join(jsonb, text)') is null then
    create function rowcast.may_join(claims jsonb, room text) returns boolean
    language sql stable parallel safe
    return rowcast.claims_allow(claims, room);
    comment on function rowcast.may_join(jsonb, text) is
      'whether a token with these claims may join the room: yours to replace, no migration touches it again';
    revoke all on function rowcast.may_join(jsonb, text) from public;
    if exists (select from pg_catalog.pg_roles where rolname = 'rowcast_policy') then
      grant execute on function rowcast.may_join(jsonb, text) to rowcast_policy;
    end if;
  end if;
end $$;

-- What the role may do, and that the server may become it.
do $$
declare
  is_member text := case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end;
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'rowcast_policy') then
    return;
  end if;
  grant usage on schema rowcast to rowcast_policy;
  grant execute on function rowcast.has_prefix(jsonb, text), rowcast.claims_allow(jsonb, text) to rowcast_policy;
  if not pg_catalog.pg_has_role('rowcast_policy', is_member) then
    execute pg_catalog.format('grant rowcast_policy to %I', current_user);
  end if;
exception
  -- Another cluster-wide change at this moment is an internal error to Postgres.
  when insufficient_privilege or internal_error or feature_not_supported then
    raise notice 'rowcast: % may not become rowcast_policy: rowcast grant prints how it can', current_user;
end $$;

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

revoke all on function rowcast.ask_may_join, rowcast.give_policy_away, rowcast.confine_policy from public;

do $$
declare
  obstacle text := rowcast.confine_policy();
begin
  if obstacle is not null then
    raise notice 'rowcast: what rowcast.may_join calls can leave the role rowcast_policy: %', obstacle;
  end if;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
