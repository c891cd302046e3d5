//! History: the messages of a room, and where its events go on.
//!
//! Reads the attached tables whose inserts are `message:new` and whose room's template can be that room. Rows and offset are
//! of one snapshot, so that whoever joins with that offset misses nothing and gets nothing twice.
//! Order: by the order columns, then the primary key. Several tables are merged by the instant, where they are sorted by a point in time;
//! a table that is not comes before those that are.
//! A table that can't be read is left out where another one can be, and the page says so: what is broken about one table hides no
//! other.
//! Relies on SELECT on those tables, which their owner grants.

use serde_json::value::RawValue;
use sqlx::Row as _;

use super::backend::Backend;
use super::numbers::pin_names;
use super::outbox::{database_state, database_state_columns};
use super::pools::Pool;
use crate::event::Room;
use crate::offset::DatabaseState;

mod column;
mod error;
mod instant;
mod lookup;
mod merge;
mod place;
mod resolve;
mod shape;
mod source;
mod statement;
mod template;

pub(crate) use error::HistoryError;
use merge::{List, Message};
use place::Found;
use shape::Shape;
use source::{Source, Told};
use statement::Scope;
use template::Solution;

/// The bytes of a page at most, and one message more.
const MAX_BYTES: i64 = 4 * 1024 * 1024;

/// One snapshot for everything that follows. What decides how values become text is as in the triggers (`rowcast.function_sql`),
/// whatever the database, the role or a pooler's other clients have set.
const BEGIN: &str = concat!(
    "
begin isolation level repeatable read read only;
",
    pin_names!(),
    ";
set local statement_timeout = '10s';
set local timezone = 'UTC';
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
set local bytea_output = 'hex';
set local extra_float_digits = 1;
set local lc_monetary = 'C';
set local quote_all_identifiers = off;
set local jit = off;
set local enable_seqscan = on;
set local plan_cache_mode = auto"
);

/// From here on the planner looks at each room by itself. The question which tables there are takes longer to plan than to answer, and is
/// always the same.
const BY_ROOM: &str = "set local plan_cache_mode = force_custom_plan";

/// Some messages of a room.
#[derive(Debug)]
pub(crate) struct Page {
    /// As JSON, the newest last.
    pub messages: Vec<Box<RawValue>>,
    /// Whether there are older ones.
    pub more: bool,
    /// The members of a message that identify it, and those that sort it; none where the tables have no such in common.
    pub key: Vec<String>,
    pub order: Vec<String>,
    /// Why tables were left out that may have messages of the room.
    pub left_out: Vec<HistoryError>,
    /// The database at the moment of the read.
    pub state: DatabaseState,
    /// Whether everything visible then was on disk.
    pub durable: bool,
}

/// Reads the newest `limit` messages of `room`, or those before the message `before`. Rows larger than `max_payload` bytes
/// are reduced to their ids.
///
/// # Errors
/// See [`HistoryError`].
pub(crate) async fn history(
    pool: &Pool,
    room: &Room,
    before: Option<&str>,
    limit: usize,
    max_payload: usize,
) -> Result<Page, HistoryError> {
    let mut left_out = Vec::new();
    loop {
        match read(pool, room, before, limit, max_payload, &mut left_out).await {
            Ok(Some(mut page)) => {
                page.left_out = left_out;
                return Ok(page);
            }
            // The failure ended the transaction. The next one is without that table.
            Err(error) if error.table().is_some() => left_out.push(error),
            Ok(None) => return Err(left_out.swap_remove(0)),
            // The message may be in a table that was left out.
            Err(HistoryError::UnknownId) if !left_out.is_empty() => {
                return Err(left_out.swap_remove(0));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads a page of the tables that are not left out. `None` if every table that may have messages of the room is.
async fn read(
    pool: &Pool,
    room: &Room,
    before: Option<&str>,
    limit: usize,
    max_payload: usize,
    left_out: &mut Vec<HistoryError>,
) -> Result<Option<Page>, HistoryError> {
    let (mut transaction, direct) = pool.begin_with(BEGIN).await?;
    let mut on = Backend::new(direct, &mut transaction);
    let row = sqlx::query(database_state_columns!())
        .fetch_one(&mut on)
        .await?;
    let (state, durable) = database_state(&row)?;
    let sources = Source::all(&mut on).await?;
    sqlx::raw_sql(BY_ROOM).execute(&mut on).await?;
    if sources.is_empty() && is_hidden(&mut on).await? {
        return Err(HistoryError::Hidden);
    }
    let tables = find_tables(&mut on, &sources, room, left_out).await?;
    if tables.is_empty() && !left_out.is_empty() {
        return Ok(None);
    }
    let anchor = match before {
        Some(id) => Some(place::find(&mut on, &tables, room, id).await?),
        None => None,
    };
    let max_payload = i32::try_from(max_payload).unwrap_or(i32::MAX);
    let mut lists = Vec::with_capacity(tables.len());
    let mut shown = Vec::with_capacity(tables.len());
    for (index, table) in tables.iter().enumerate() {
        if let Some(only) = place::older(&tables, index, anchor.as_ref()) {
            let scope = table.scope(room, only);
            let list = read_list(&mut on, table, &scope, limit, max_payload).await?;
            shown.extend((!list.messages.is_empty()).then(|| Shape::from(table.source)));
            lists.push(list);
            if index + 1 < tables.len() {
                on.pin_names().await?;
            }
        }
    }
    transaction.rollback().await?;
    let all: Vec<_> = tables.iter().map(|table| table.source.into()).collect();
    let (key, order) = shape::common(&all, &shown);
    let (messages, more) = merge::newest(lists, limit, MAX_BYTES as usize);
    Ok(Some(Page {
        messages,
        more,
        key,
        order,
        left_out: Vec::new(),
        state,
        durable,
    }))
}

/// Whether row security may be why no table is attached.
async fn is_hidden(connection: &mut Backend<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select row_security_active('rowcast.attached')")
        .fetch_one(connection)
        .await
}

/// The attached tables that may hold messages of the room, without those that are left out; one that may not be read is.
async fn find_tables<'a>(
    connection: &mut Backend<'_>,
    sources: &'a [Source],
    room: &'a Room,
    left_out: &mut Vec<HistoryError>,
) -> Result<Vec<Found<'a>>, HistoryError> {
    let mut feeds = false;
    let mut tables = Vec::new();
    for source in sources {
        let template = source.template();
        feeds |= template.may_begin(&format!("{}:", room.kind()));
        let told = match template.solve(room.as_str()) {
            Solution::None => continue,
            Solution::Only(values) => source.told(values),
            Solution::Several => Told::default(),
        };
        let table = Some(&*source.relation);
        if left_out.iter().any(|error| error.table() == table) {
            continue;
        }
        if !source.readable {
            left_out.push(HistoryError::NotGranted {
                from: source.relation.clone(),
                table: source.relation.clone(),
                role: source.role.clone(),
            });
            continue;
        }
        let lost = match source.lost_lookup() {
            None => source.lock_lookups(connection).await?,
            lost => lost,
        };
        if let Some(error) = lost {
            left_out.push(error);
            continue;
        }
        let values = source.resolve(connection, told).await?;
        if let Some(values) = values
            && place::castable(connection, &values).await?
        {
            tables.push(Found { source, values });
        }
    }
    if !feeds {
        return Err(HistoryError::Unattached(room.kind().to_owned()));
    }
    Ok(tables)
}

/// The newest messages of one table, one more than the page holds, so that the page knows whether there are more.
async fn read_list(
    connection: &mut Backend<'_>,
    table: &Found<'_>,
    scope: &Scope<'_>,
    limit: usize,
    max_payload: i32,
) -> Result<List, HistoryError> {
    // Without statistics, as after a dump was restored, Postgres would make JSON of all rows of the room and sort them.
    let sort = if table.source.is_sorted_by_index(&scope.values) {
        "set local enable_sort = off"
    } else {
        "set local enable_sort = on"
    };
    sqlx::raw_sql(sort).execute(&mut *connection).await?;
    let rows = statement::page(
        table.source,
        scope,
        limit as i64 + 1,
        max_payload,
        MAX_BYTES,
    )
    .build()
    .fetch_all(connection)
    .await
    .map_err(|error| table.source.failed(error))?;
    let found = rows
        .first()
        .map_or(Ok(0), |row| row.try_get::<i64, _>("found"))?;
    let messages = rows
        .iter()
        .map(Message::read)
        .collect::<sqlx::Result<Vec<_>>>()?;
    Ok(List {
        more: found > messages.len() as i64,
        messages: messages.into(),
        timed: table.timed(),
    })
}
