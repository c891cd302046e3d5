//! Attaching for a command: what it would do, and doing it.
//!
//! Both go by the arguments of `rowcast.attach` as one JSON object. `rowcast.preview` checks them and says what they come to, in a transaction
//! that is rolled back; `attach_all` runs the calls that the preview wrote.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sqlx::postgres::{PgConnection, PgDatabaseError};
use sqlx::{AssertSqlSafe, Connection as _};

use super::fault::is_refused;
use super::link::begin;
use super::notices::with_notices;
use super::numbers::pin_names;
use super::{Database, PLAIN, cause_of, cause_with};

/// Where a table is looked for that is named without its schema: the path that the role has in this database. Ours has none of the user's.
const PATH: &str = "
select coalesce((
  select substring(setting from '^search_path=(.*)$')
  from pg_db_role_setting s cross join unnest(s.setconfig) as setting
  where setting like 'search\\_path=%'
    and setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and setrole in (0, (select oid from pg_roles where rolname = session_user))
  order by setrole <> 0 and setdatabase <> 0 desc, setrole <> 0 desc, setdatabase <> 0 desc limit 1
), '\"$user\", public')";
/// Nobody's path may decide here what a function is.
const FIND: &str = "select pg_catalog.to_regclass($1)::pg_catalog.oid";
const PREVIEW: &str = "select rowcast.preview($1::oid::regclass, $2::jsonb, $3)";
/// What a condition may be.
const CONDITIONS: &str =
    "; accepted: a predicate over the row's columns, such as $.direction == \"inbound\"";
const AS_CONDITION: &str = "select $1::jsonpath::text";
/// What a refusal and a NOTICE of `rowcast.attach` begin with.
const OF_ATTACH: &str = "rowcast.attach: ";
/// A preview waits for nobody.
const BRIEFLY: &str = "set local lock_timeout = '2s'; set local statement_timeout = '15s'";

/// What attaching a table would do.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Preview {
    /// The table, with its schema.
    pub source: String,
    /// The call of `rowcast.attach`.
    pub call: String,
    /// What that call runs.
    pub sql: String,
    /// What it is in doubt about.
    pub notices: Vec<String>,
    /// The definition that it would store.
    #[serde(skip_serializing)]
    pub definition: Map<String, Value>,
    /// The one that is stored now.
    #[serde(skip_serializing)]
    pub attached: Option<Map<String, Value>>,
    /// Why no example could be made.
    pub unread: Option<String>,
    /// How many rows there were to make examples of; at most 100.
    pub rows: Option<u32>,
    /// An example of each event.
    pub examples: Option<Vec<Example>>,
}

/// An event as it would be sent.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Example {
    /// What causes it: insert, update, delete.
    pub on: String,
    /// Whose change causes it.
    pub columns: Option<Vec<String>>,
    /// Its name.
    pub event: String,
    /// Its room; nothing where no row would cause it.
    pub room: Option<String>,
    /// Its payload.
    pub data: Option<Box<RawValue>>,
}

/// A table, and what is said of it.
pub(crate) struct WantedSource<'a> {
    /// The table as the user named it.
    pub table: &'a str,
    /// The arguments of `rowcast.attach`, by their names.
    pub arguments: &'a Map<String, Value>,
}

/// Says what attaching each of these would do. Changes nothing.
///
/// # Errors
/// For the first one that is refused: its place, and why. The place is none where the database can't be used.
pub(crate) async fn preview(
    database: &Database,
    wanted: &[WantedSource<'_>],
    with_examples: bool,
) -> Result<Vec<Preview>, (Option<usize>, String)> {
    let mut connection = open(database).await.map_err(|why| (None, why))?;
    let alone = |error: sqlx::Error| (None, cause_of(&error));
    let begun = connection.begin_with(AssertSqlSafe(begin(PLAIN))).await;
    let mut transaction = begun.map_err(alone)?;
    let set = sqlx::raw_sql(BRIEFLY).execute(&mut *transaction).await;
    set.map_err(alone)?;
    let mut previews = Vec::with_capacity(wanted.len());
    for (place, one) in wanted.iter().enumerate() {
        let preview = of(&mut transaction, one, with_examples).await;
        previews.push(preview.map_err(|why| (Some(place), why))?);
    }
    transaction.rollback().await.map_err(alone)?;
    // Postgres notices by itself when the socket closes.
    let _ = connection.close().await;
    Ok(previews)
}

async fn of(
    connection: &mut PgConnection,
    wanted: &WantedSource<'_>,
    with_examples: bool,
) -> Result<Preview, String> {
    let relation = find(connection, wanted.table)
        .await
        .map_err(|error| refusal(&error))?;
    let Some(relation) = relation else {
        return Err(format!(
            "there is no table {:?}; accepted: the name of a table, with its schema where that is not in the path of the database",
            wanted.table
        ));
    };
    check_condition(connection, wanted.arguments).await?;
    let query = sqlx::query_scalar(PREVIEW)
        .persistent(false)
        .bind(relation)
        .bind(sqlx::types::Json(wanted.arguments))
        .bind(with_examples);
    let (read, said) = with_notices(query.fetch_one(connection)).await;
    let sqlx::types::Json(mut preview): sqlx::types::Json<Preview> =
        read.map_err(|error| refusal(&error))?;
    let said = said.iter().filter_map(|said| said.strip_prefix(OF_ATTACH));
    for notice in said.map(str::to_owned) {
        if !preview.notices.contains(&notice) {
            preview.notices.push(notice);
        }
    }
    Ok(preview)
}

/// Refuses a condition that Postgres can't read: as it would say of a jsonpath what is wrong with that, and not which argument it is.
async fn check_condition(
    connection: &mut PgConnection,
    arguments: &Map<String, Value>,
) -> Result<(), String> {
    let Some(Value::String(condition)) = arguments.get("condition") else {
        return Ok(());
    };
    let query = sqlx::query_scalar(AS_CONDITION).persistent(false);
    let read: sqlx::Result<String> = query.bind(condition).fetch_one(connection).await;
    match read {
        Err(error) if is_refused(&error) => Err(format!(
            "condition {condition:?} is no jsonpath: {}{CONDITIONS}",
            cause_of(&error)
        )),
        read => read.map(drop).map_err(|error| refusal(&error)),
    }
}

/// The table of that name.
async fn find(
    connection: &mut PgConnection,
    table: &str,
) -> sqlx::Result<Option<sqlx::postgres::types::Oid>> {
    let path: String = sqlx::query_scalar(PATH)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    let set = sqlx::query("select set_config('search_path', $1, true)").persistent(false);
    set.bind(path).execute(&mut *connection).await?;
    let found = sqlx::query_scalar(FIND).persistent(false).bind(table);
    let found = found.fetch_one(&mut *connection).await?;
    sqlx::raw_sql(pin_names!()).execute(connection).await?;
    Ok(found)
}

/// Runs calls that a preview wrote, and detaches tables, all in one transaction.
///
/// # Errors
/// The first that is refused, by its place among the calls, and why; nothing is changed then.
pub(crate) async fn attach_all(
    database: &Database,
    calls: &[&str],
    detach: &[&str],
) -> Result<(), (Option<usize>, String)> {
    let mut connection = open(database).await.map_err(|why| (None, why))?;
    let alone = |error: sqlx::Error| (None, refusal(&error));
    let begun = connection.begin_with(AssertSqlSafe(begin(PLAIN))).await;
    let mut transaction = begun.map_err(alone)?;
    for (place, call) in calls.iter().enumerate() {
        let call = sqlx::raw_sql(AssertSqlSafe((*call).to_owned()));
        let called = call.execute(&mut *transaction).await;
        called.map_err(|error| (Some(place), refusal(&error)))?;
    }
    for table in detach {
        let call = sqlx::query("select rowcast.detach($1)").persistent(false);
        let called = call.bind(table).execute(&mut *transaction).await;
        called.map_err(alone)?;
    }
    transaction.commit().await.map_err(alone)?;
    let _ = connection.close().await;
    Ok(())
}

async fn open(database: &Database) -> Result<PgConnection, String> {
    let opened = database.open("rowcast", PLAIN).await;
    let (connection, _) = opened.map_err(|error| {
        format!(
            "{} can't be used: {}",
            database.describe(),
            cause_of(&error)
        )
    })?;
    Ok(connection)
}

/// What the database said, and how to mend it where it said that, too.
fn refusal(error: &sqlx::Error) -> String {
    let said = cause_with(error, "; `rowcast grant ROLE --attach` prints the right");
    let said = said.strip_prefix(OF_ATTACH).unwrap_or(&said);
    let accepted = match said.contains(" is no jsonpath: ") {
        true => CONDITIONS,
        false => "",
    };
    let hint = error.as_database_error().and_then(|said| {
        let said = said.try_downcast_ref::<PgDatabaseError>()?;
        said.hint()
    });
    match hint {
        Some(hint) if !said.contains("rowcast migrate") => format!("{said}; {hint}"),
        _ => format!("{said}{accepted}"),
    }
}
