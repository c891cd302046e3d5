//! History: the messages of a room, and where its events go on.
//!
//! Reads the attached tables whose inserts are `message:new` and whose room's template can be that room. Rows and offset are
//! of one snapshot, so that whoever joins with that offset misses nothing and gets nothing twice.
//! Order: by the order column, then the primary key. Several tables are merged where all order by a point in time; a table
//! that does not comes before those that do.
//! Relies on SELECT on those tables, which their owner grants.

use serde_json::value::RawValue;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Acquire as _, Row as _};

use super::epoch::{self, ReadError, present_columns};
use crate::event::Room;
use crate::offset::Present;

mod merge;
mod source;
mod statement;
mod template;

use merge::{List, Message};
use source::{Source, Values};
use statement::{Only, Scope};
use template::Solution;

/// The bytes of a page at most, and one message more.
const MAX_BYTES: i64 = 4 * 1024 * 1024;

/// One snapshot for everything that follows. The planner is to look at each contact by itself.
const BEGIN: &str = "
begin isolation level repeatable read read only;
set local statement_timeout = '10s';
set local timezone = 'UTC';
set local datestyle = 'ISO';
set local jit = off;
set local enable_seqscan = on;
set local plan_cache_mode = force_custom_plan";

/// Some messages of a room.
#[derive(Debug)]
pub struct Page {
    /// As JSON, the newest last.
    pub messages: Vec<Box<RawValue>>,
    /// Whether there are older ones.
    pub more: bool,
    /// The database at the moment of the read.
    pub present: Present,
    /// Whether everything visible then was on disk.
    pub durable: bool,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No attached table has messages of conversations.
    #[error(
        "no attached table has messages: attach one with on_insert => 'message:new' and a room conversation:{{column}}"
    )]
    Unattached,
    /// There is no message of that id in the room.
    #[error("the room has no message of that id")]
    UnknownId,
    /// Several tables have a message of that id in the room.
    #[error("the room has several messages of that id, from different tables")]
    AmbiguousId,
    /// The owner of a table has not let us read it.
    #[error(
        "history may not read {table}; its owner can give the right: grant select on {table} to {role:?} (and usage on its schema)"
    )]
    NotGranted {
        /// Qualified.
        table: String,
        /// Who we are.
        role: String,
    },
    /// A table can't be read.
    #[error("history can't be read from {table}: {error}")]
    Table {
        /// Qualified.
        table: String,
        /// Why.
        error: sqlx::Error,
    },
    /// The outbox can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<sqlx::Error> for HistoryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Read(error.into())
    }
}

/// A table that may hold messages of the room, and where in it.
struct Found<'a> {
    source: &'a Source,
    values: Values<'a>,
}

/// Where a page ends: a message of one of the tables.
struct Anchor {
    table: usize,
    values: Vec<Option<String>>,
}

/// Reads the newest `limit` messages of `room`, or those before the message `before`. Rows larger than `max_payload` bytes
/// are reduced to their ids.
///
/// # Errors
/// See [`HistoryError`].
pub async fn history(
    pool: &PgPool,
    room: &Room,
    before: Option<&str>,
    limit: usize,
    max_payload: usize,
) -> Result<Page, HistoryError> {
    let mut transaction = pool.begin_with(BEGIN).await?;
    let row = sqlx::query(present_columns!())
        .fetch_one(&mut *transaction)
        .await?;
    let (present, durable) = epoch::present(&row)?;
    let sources = Source::all(&mut transaction).await?;
    let mut feeds = false;
    let mut tables = Vec::new();
    for source in &sources {
        let template = source.template();
        feeds |= template.may_begin("conversation:");
        let values = match template.solve(room.as_str()) {
            Solution::None => continue,
            Solution::Only(values) => source.comparable(values),
            Solution::Several => Vec::new(),
        };
        if !source.readable {
            return Err(HistoryError::NotGranted {
                table: source.relation.clone(),
                role: source.role.clone(),
            });
        }
        if castable(&mut transaction, &values).await? {
            tables.push(Found { source, values });
        }
    }
    if !feeds {
        return Err(HistoryError::Unattached);
    }
    let anchor = match before {
        Some(id) => Some(find(&mut transaction, &tables, room, id).await?),
        None => None,
    };
    let max_payload = i32::try_from(max_payload).unwrap_or(i32::MAX);
    let mut lists = Vec::with_capacity(tables.len());
    for (index, table) in tables.iter().enumerate() {
        let Some(only) = older(&tables, index, anchor.as_ref()) else {
            continue;
        };
        let scope = table.scope(room, only);
        let rows = statement::page(
            table.source,
            &scope,
            limit as i64 + 1,
            max_payload,
            MAX_BYTES,
        )
        .build()
        .fetch_all(&mut *transaction)
        .await
        .map_err(|error| table.source.failed(error))?;
        let found = rows
            .first()
            .map_or(Ok(0), |row| row.try_get::<i64, _>("found"))?;
        let messages = rows
            .iter()
            .map(Message::read)
            .collect::<sqlx::Result<Vec<_>>>()?;
        lists.push(List {
            more: found > messages.len() as i64,
            messages: messages.into(),
            timed: table.timed(),
        });
    }
    transaction.rollback().await?;
    let (messages, more) = merge::newest(lists, limit, MAX_BYTES as usize);
    Ok(Page {
        messages,
        more,
        present,
        durable,
    })
}

impl Found<'_> {
    fn scope<'a>(&'a self, room: &'a Room, only: Only<'a>) -> Scope<'a> {
        Scope {
            room: room.as_str(),
            values: self.values.clone(),
            only,
        }
    }

    /// Whether its messages are merged with those of other tables by their points in time.
    fn timed(&self) -> bool {
        self.source.order().is_some_and(|order| order.time)
    }
}

impl Source {
    fn failed(&self, error: sqlx::Error) -> HistoryError {
        HistoryError::Table {
            table: self.relation.clone(),
            error,
        }
    }
}

/// Which rows of a table come before the anchor; `None` for none of them.
fn older<'a>(tables: &[Found<'_>], index: usize, anchor: Option<&'a Anchor>) -> Option<Only<'a>> {
    let Some(anchor) = anchor else {
        return Some(Only::All);
    };
    if anchor.table == index {
        return Some(Only::Before(&anchor.values));
    }
    match (tables[index].timed(), tables[anchor.table].timed()) {
        (true, true) => Some(Only::Older {
            time: anchor.values[0].as_deref(),
            or_equal: index < anchor.table,
        }),
        (true, false) => None,
        (false, true) => Some(Only::All),
        (false, false) => (index < anchor.table).then_some(Only::All),
    }
}

async fn find(
    conn: &mut PgConnection,
    tables: &[Found<'_>],
    room: &Room,
    id: &str,
) -> Result<Anchor, HistoryError> {
    let mut found = None;
    for (index, table) in tables.iter().enumerate() {
        let source = table.source;
        if source.key().is_empty() || id.contains('\0') {
            continue;
        }
        let key = match source.key_template().solve(id) {
            Solution::None => continue,
            Solution::Only(values) => source.comparable(values),
            Solution::Several => Vec::new(),
        };
        if !castable(conn, &key).await? {
            continue;
        }
        let scope = table.scope(room, Only::Id(id, key));
        let row: Option<(Vec<Option<String>>,)> = statement::anchor(source, &scope)
            .build_query_as()
            .fetch_optional(&mut *conn)
            .await
            .map_err(|error| source.failed(error))?;
        if let Some((values,)) = row {
            let anchor = Anchor {
                table: index,
                values,
            };
            if found.replace(anchor).is_some() {
                return Err(HistoryError::AmbiguousId);
            }
        }
    }
    found.ok_or(HistoryError::UnknownId)
}

/// Whether each text can be a value of its column: one that can't be cast is in no row.
async fn castable(conn: &mut PgConnection, values: &Values<'_>) -> Result<bool, HistoryError> {
    let Some(mut probe) = statement::cast_probe(values) else {
        return Ok(true);
    };
    let mut savepoint = conn.begin().await?;
    let cast = probe.build().execute(&mut *savepoint).await;
    savepoint.rollback().await?;
    match cast {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if is_data_error(&*error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// SQLSTATE classes 22, data exception, and 23, which a domain's check raises.
fn is_data_error(error: &dyn sqlx::error::DatabaseError) -> bool {
    error
        .code()
        .is_some_and(|code| matches!(code.get(..2), Some("22" | "23")))
}
