//! The rights of a role, as statements: to serve, to attach tables, to emit.
//!
//! Owns what `rowcast grant` prints and runs. What a server needs comes from `rights`; the rest follows from the catalog: the
//! attached tables and their schemas, the functions' signatures, and who owns the schema `rowcast`, whose rights `attach` runs with.
//! Guarantees that every name is quoted by Postgres, and that no right is given beyond what was asked for.

mod from_catalog;
mod unheld;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use super::backend::Backend;
use super::numbers::pin_names;
use super::rights::{Kind, SERVE};
use super::{CONNECT_PATIENCE, Database, cause_of, cause_with};
use from_catalog::{ATTACHED, FUNCTIONS, OF_THE_OWNER, POLICY_ROLE, TABLES};
use unheld::note_unheld;

/// What a role is to be able to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// To run `rowcast serve`.
    pub serve: bool,
    /// To call `rowcast.attach` and `rowcast.detach`, for its own tables.
    pub attach: bool,
    /// To call `rowcast.emit`, `rowcast.typing` and, where there are chat tables, `rowcast.store_whatsapp`.
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
        let functions = SERVE.iter().filter(|right| right.kind.is_function());
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
        statements
            .extend(execute(&mut on, &["attach", "detach", "reload", "preview"], &quoted).await?);
        statements.extend(placed(&mut on, OF_THE_OWNER, role).await?);
    }
    if wanted.emit {
        statements.extend(execute(&mut on, &["emit", "typing", "store_whatsapp"], &quoted).await?);
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

/// Runs the statements one by one, and notes which were refused, or gave nothing to `role`: each may need another owner.
///
/// # Errors
/// The connection's; what was run stays.
pub(crate) async fn apply_grants(
    database: &Database,
    role: &str,
    grants: &mut [Grant],
) -> anyhow::Result<()> {
    let mut connection = connect(database).await?;
    for grant in &mut *grants {
        match apply(&mut connection, &grant.sql).await {
            Ok(()) => {}
            Err(error) if error.as_database_error().is_some() => {
                grant.refused = Some(cause_with(&error, ""));
            }
            Err(error) => return Err(error.into()),
        }
    }
    note_unheld(&mut connection, role, grants).await?;
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
