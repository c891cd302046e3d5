//! The rights of a role, as statements: to serve, to attach tables, to emit.
//!
//! Owns what `rowcast grant` prints and runs. What a server needs comes from `rights`; the rest follows from the catalog: the
//! attached tables and their schemas, the functions' signatures, and who owns the schema `rowcast`, whose rights `attach` runs with.
//! Guarantees that every name is quoted by Postgres, and that no right is given beyond what was asked for.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use super::backend::Backend;
use super::numbers::pin_names;
use super::rights::{Kind, SERVE};
use super::{CONNECT_PATIENCE, Database, cause_of};

/// What a role is to be able to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// To run `rowcast serve`.
    pub serve: bool,
    /// To call `rowcast.attach` and `rowcast.detach`, for its own tables.
    pub attach: bool,
    /// To call `rowcast.emit` and `rowcast.typing`.
    pub emit: bool,
    /// To call `rowcast.revoke`.
    pub revoke: bool,
}

/// A statement, and whether and why it could not be run.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// The statement, with its semicolon.
    pub sql: String,
    /// What Postgres said to it.
    pub refused: Option<String>,
    /// Whether it is of use only where clients have tokens.
    pub is_for_tokens: bool,
}

/// The tables that were attached, those that are looked up for them, and their schemas. `$1` is the role.
const ATTACHED: &str = "
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
const OF_THE_OWNER: &str = "
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
const POLICY_ROLE: &str = "
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
const TABLES: &str = "
select format('grant select on %s to %I;', string_agg('rowcast.' || quote_ident(c.relname), ', ' order by c.relname), $1)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'rowcast' and c.relkind in ('r', 'p', 'v')";

/// The functions of these names, each as GRANT names it.
const FUNCTIONS: &str = "
select format('function rowcast.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'rowcast' and p.proname = any ($1) order by 1";

/// Every grant that the role needs for what is wanted.
///
/// # Errors
/// There is no such role, or no schema `rowcast`; the database's own.
pub(crate) async fn grants_for(
    database: &Database,
    role: &str,
    wanted: Wanted,
) -> anyhow::Result<Vec<Grant>> {
    let mut connection = connect(database).await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(pin_names!())
        .execute(&mut *transaction)
        .await?;
    // Without names of statements, which a pooler would keep.
    let mut on = Backend::new(false, &mut transaction);
    let quoted = quoted_role(&mut on, role).await?;
    let mut for_tokens = Vec::new();
    let mut statements = vec![format!("grant usage on schema rowcast to {quoted};")];
    if wanted.serve {
        for (name, privileges) in tables() {
            statements.push(format!("grant {privileges} on rowcast.{name} to {quoted};"));
        }
        let functions = SERVE.iter().filter(|right| right.kind == Kind::Function);
        let functions: Vec<_> = functions.map(|right| right.name).collect();
        statements.extend(execute(&mut on, &functions, &quoted).await?);
        for_tokens = placed(&mut on, POLICY_ROLE, role).await?;
        let attached = sqlx::query_scalar(ATTACHED).bind(role);
        statements.extend(attached.fetch_all(&mut on).await?);
    }
    if wanted.serve || wanted.attach {
        // pg_dump locks every table and reads every sequence.
        let tables = sqlx::query_scalar(TABLES).bind(role);
        statements.extend(tables.fetch_all(&mut on).await?);
        statements.push(format!(
            "grant select on all sequences in schema rowcast to {quoted};"
        ));
    }
    if wanted.attach {
        statements.extend(execute(&mut on, &["attach", "detach"], &quoted).await?);
        statements.extend(placed(&mut on, OF_THE_OWNER, role).await?);
    }
    if wanted.emit {
        statements.extend(execute(&mut on, &["emit", "typing"], &quoted).await?);
    }
    if wanted.revoke {
        statements.extend(execute(&mut on, &["revoke"], &quoted).await?);
    }
    transaction.rollback().await?;
    connection.close().await?;
    let grant = |is_for_tokens| {
        move |sql| Grant {
            sql,
            refused: None,
            is_for_tokens,
        }
    };
    let statements = statements.into_iter().map(grant(false));
    Ok(statements
        .chain(for_tokens.into_iter().map(grant(true)))
        .collect())
}

/// Runs the statements one by one, and notes which were refused: each may need another owner.
///
/// # Errors
/// The connection's; what was run stays.
pub(crate) async fn apply_grants(database: &Database, grants: &mut [Grant]) -> anyhow::Result<()> {
    let mut connection = connect(database).await?;
    for grant in grants {
        match apply(&mut connection, &grant.sql).await {
            Ok(()) => {}
            Err(error) if error.as_database_error().is_some() => {
                grant.refused = Some(cause_of(&error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    connection.close().await?;
    Ok(())
}

/// Some of the roles that may log in and give rights on roles: superusers first.
const GIVERS: &str = "
select quote_ident(rolname) from pg_roles where rolcanlogin and (rolsuper or rolcreaterole) order by rolsuper desc, rolname limit 5";

/// Who may be able to give what concerns the policy's role.
///
/// # Errors
/// The database's own.
pub(crate) async fn policy_givers(database: &Database) -> anyhow::Result<Vec<String>> {
    let mut connection = connect(database).await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(pin_names!())
        .execute(&mut *transaction)
        .await?;
    let mut on = Backend::new(false, &mut transaction);
    let givers = sqlx::query_scalar(GIVERS).fetch_all(&mut on).await?;
    transaction.rollback().await?;
    connection.close().await?;
    Ok(givers)
}

/// Runs one statement, with names that mean Postgres's own things.
async fn apply(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(pin_names!())
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Each table with all that a server needs of it.
fn tables() -> Vec<(&'static str, String)> {
    let mut tables: Vec<(&'static str, String)> = Vec::new();
    for right in SERVE.iter().filter(|right| right.kind == Kind::Table) {
        let privileges = right.privileges.join(", ");
        match tables.iter_mut().find(|(name, _)| *name == right.name) {
            Some((_, all)) => *all += &format!(", {privileges}"),
            None => tables.push((right.name, privileges)),
        }
    }
    // Whether there is a record of migrations depends on who applied them; `all tables` covers it.
    tables.retain(|(name, _)| *name != "migrations");
    tables
}

/// Statements that a query gives for the role, with their places.
async fn placed(
    on: &mut Backend<'_>,
    query: &'static str,
    role: &str,
) -> sqlx::Result<Vec<String>> {
    let found: Vec<(i32, String)> = sqlx::query_as(query).bind(role).fetch_all(on).await?;
    Ok(found.into_iter().map(|(_, sql)| sql).collect())
}

async fn execute(
    on: &mut Backend<'_>,
    functions: &[&str],
    role: &str,
) -> sqlx::Result<Vec<String>> {
    let found: Vec<String> = sqlx::query_scalar(FUNCTIONS)
        .bind(functions)
        .fetch_all(on)
        .await?;
    let grant = |function: String| format!("grant execute on {function} to {role};");
    Ok(found.into_iter().map(grant).collect())
}

async fn connect(database: &Database) -> anyhow::Result<PgConnection> {
    let connected = timeout(CONNECT_PATIENCE, database.named("rowcast grant").connect())
        .await
        .map_err(|_| anyhow::anyhow!("{} did not answer in time", database.describe()))?;
    connected.map_err(|error| {
        anyhow::anyhow!(
            "{} can't be used: {}",
            database.describe(),
            cause_of(&error)
        )
    })
}

async fn quoted_role(on: &mut Backend<'_>, role: &str) -> anyhow::Result<String> {
    let (quoted, exists, schema): (String, bool, bool) = sqlx::query_as(
        "select quote_ident($1), exists (select from pg_roles where rolname = $1),
                exists (select from pg_namespace where nspname = 'rowcast')",
    )
    .bind(role)
    .fetch_one(on)
    .await?;
    anyhow::ensure!(
        exists,
        "there is no role {quoted}; make it first: create role {quoted} login password '...';"
    );
    anyhow::ensure!(
        schema,
        "there is no schema rowcast in this database; make it first: rowcast migrate"
    );
    Ok(quoted)
}
