//! What a role is to be given, as the catalog says it: each query makes statements. `$1` is the role.

/// The tables that were attached, those that are looked up for them, and their schemas. `$1` is the role.
pub(super) const ATTACHED: &str = "
with read as (
  select relation as oid from rowcast.sources
  union
  select c.oid from rowcast.sources s
  cross join jsonb_array_elements(s.feeds) as feed cross join jsonb_array_elements(feed -> 'lookups') as lookup
  join pg_class c on c.relname = (parse_ident(lookup ->> 'table'))[2]
  join pg_namespace n on n.oid = c.relnamespace and n.nspname = (parse_ident(lookup ->> 'table'))[1]
)
select format('grant usage on schema %I to %I;', n.nspname, $1) as sql
from read join pg_class c using (oid) join pg_namespace n on n.oid = c.relnamespace
group by n.nspname
union all
select format('grant select on %I.%I to %I;', n.nspname, c.relname, $1)
from read join pg_class c using (oid) join pg_namespace n on n.oid = c.relnamespace
order by 1 desc";

/// What the owner of the schema `rowcast` needs, because `attach` runs as that role: TRIGGER on the tables of the role `$1`, those
/// that come later included. Nothing, where that owner is a superuser or the role itself.
pub(super) const OF_THE_OWNER: &str = "
with owner as (
  select o.rolname from pg_namespace n join pg_roles o on o.oid = n.nspowner
  where n.nspname = 'rowcast' and not o.rolsuper and o.rolname <> $1
), theirs as (
  select n.oid, n.nspname, c.relname, n.nspowner from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and pg_get_userbyid(c.relowner) = $1
    and n.nspname not in ('rowcast', 'pg_catalog', 'information_schema') and n.nspname !~ '^pg_'
)
select distinct 1 as place, format('grant usage on schema %I to %I;', nspname, rolname) as sql from theirs, owner
union all
select 2, format('grant trigger on %s to %I;', string_agg(format('%I.%I', nspname, relname), ', ' order by nspname, relname), rolname)
from theirs, owner group by rolname
union all
select 3, format('alter default privileges for role %I grant trigger on tables to %I;', $1, rolname) from owner
order by 1, 2";

/// The role that the policy runs as, made if there is none, the function that asks as that role, and the right of role `$1` to call it.
pub(super) const POLICY_ROLE: &str = "
with role as (
  select (select oid from pg_roles where rolname = 'rowcast_policy') as oid
), asking as (
  select p.oid, p.proowner, pg_get_function_identity_arguments(p.oid) as arguments
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'rowcast' and p.proname = 'ask_may_join'
), function as (
  select p.oid, format('function rowcast.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) as named
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'rowcast' and p.proname in ('may_join', 'claims_allow', 'has_prefix')
)
select 1 as place, 'create role rowcast_policy nologin;' as sql from role where oid is null
union all
select 2, 'grant usage on schema rowcast to rowcast_policy;' from role
where not coalesce(has_schema_privilege(oid, 'rowcast', 'usage'), false)
union all
select 3, format('grant execute on %s to rowcast_policy;', named) from role, function
where not coalesce(has_function_privilege(role.oid, function.oid, 'execute'), false)
union all
select 4, 'select rowcast.give_policy_away();' from role, asking where asking.proowner is distinct from role.oid
union all
select 5, format('grant execute on function rowcast.ask_may_join(%s) to %I;', arguments, $1) from asking
where not coalesce(has_function_privilege($1, oid, 'execute'), false)
order by 1, 2";
/// Every table of ours, and the views; the secret is for servers alone.
pub(super) const TABLES: &str = "
select format('grant select on %s to %I;', string_agg('rowcast.' || quote_ident(c.relname), ', ' order by c.relname), $1)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'rowcast' and c.relkind in ('r', 'p', 'v')";

/// The functions of these names, each as GRANT names it.
pub(super) const FUNCTIONS: &str = "
select format('function rowcast.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'rowcast' and p.proname = any ($1) order by 1";
