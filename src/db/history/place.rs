//! Which tables hold a room's messages, and which messages come before a given one.
//!
//! Guarantees that a value which can't be cast to a column's type finds nothing, and is no error: the cast is tried in a
//! savepoint.

use super::HistoryError;
use super::column::Values;
use super::source::Source;
use super::statement::{self, Only, Scope};
use super::template::Solution;
use crate::db::backend::Backend;
use crate::event::Room;

/// A table that may hold messages of the room, and where in it.
pub(super) struct Found<'a> {
    pub(super) source: &'a Source,
    pub(super) values: Values<'a>,
}

/// Where a page ends: a message of one of the tables.
pub(super) struct Anchor {
    table: usize,
    values: Vec<Option<String>>,
    /// When it was, where its table is merged by that; `None` is the latest.
    time: Option<String>,
}

impl Found<'_> {
    pub(super) fn scope<'a>(&'a self, room: &'a Room, only: Only<'a>) -> Scope<'a> {
        Scope {
            room: room.as_str(),
            values: self.values.clone(),
            only,
        }
    }

    /// Whether its messages are merged with those of other tables by their points in time.
    pub(super) fn timed(&self) -> bool {
        self.source.instant().is_some()
    }
}

impl Source {
    pub(super) fn failed(&self, error: sqlx::Error) -> HistoryError {
        HistoryError::Table {
            table: self.relation.clone(),
            error,
        }
    }
}

/// Which rows of a table come before the anchor; `None` for none of them.
pub(super) fn older<'a>(
    tables: &[Found<'_>],
    index: usize,
    anchor: Option<&'a Anchor>,
) -> Option<Only<'a>> {
    let Some(anchor) = anchor else {
        return Some(Only::All);
    };
    if anchor.table == index {
        return Some(Only::Before(&anchor.values));
    }
    match (tables[index].timed(), tables[anchor.table].timed()) {
        (true, true) => Some(Only::Older {
            time: anchor.time.as_deref(),
            or_equal: index < anchor.table,
        }),
        (true, false) => None,
        (false, true) => Some(Only::All),
        (false, false) => (index < anchor.table).then_some(Only::All),
    }
}

pub(super) async fn find(
    conn: &mut Backend<'_>,
    tables: &[Found<'_>],
    room: &Room,
    id: &str,
) -> Result<Anchor, HistoryError> {
    let mut found = Vec::new();
    if id.contains('\0') {
        return Err(HistoryError::UnknownId);
    }
    for (index, table) in tables.iter().enumerate() {
        let source = table.source;
        if source.key().is_empty() {
            continue;
        }
        let values = match source.key_template().solve(id) {
            Solution::None => continue,
            Solution::Only(values) => values,
            Solution::Several => source.split_key(id),
        };
        let mut key = source.comparable(values);
        // A row may show a time without a zone in one.
        key.retain(|(column, _)| !column.is_local_time());
        if let Some(sql) = &source.key_sql {
            find_in(conn, (index, table), room, (sql, id, key), &mut found).await?;
        }
    }
    // What rows show as "id" is good as well, where it means one of them.
    let is_key = !found.is_empty();
    for (index, table) in tables.iter().enumerate().filter(|_| !is_key) {
        let column = table.source.id_column.as_ref();
        if let Some(column) = column.and_then(|name| table.source.column(name)) {
            let values = match column.comparable {
                true => vec![(column, vec![id.to_owned()])],
                false => Vec::new(),
            };
            let shown = (&*column.member, id, values);
            find_in(conn, (index, table), room, shown, &mut found).await?;
        }
    }
    match found.len() {
        0 => Err(HistoryError::UnknownId),
        1 => Ok(found.swap_remove(0)),
        _ => Err(HistoryError::AmbiguousId),
    }
}

/// Looks for the rows of one table that show this id: an expression, what it must give, and values of columns by which to find it.
async fn find_in(
    conn: &mut Backend<'_>,
    (index, table): (usize, &Found<'_>),
    room: &Room,
    (sql, id, values): (&str, &str, Values<'_>),
    found: &mut Vec<Anchor>,
) -> Result<(), HistoryError> {
    if !castable(conn, &values).await? {
        return Ok(());
    }
    let source = table.source;
    let scope = table.scope(room, Only::Id { sql, id, values });
    let rows: Vec<(Vec<Option<String>>, Option<String>)> = statement::anchor(source, &scope)
        .build_query_as()
        .fetch_all(&mut *conn)
        .await
        .map_err(|error| source.failed(error))?;
    conn.pin_names().await?;
    found.extend(rows.into_iter().map(|(values, time)| Anchor {
        table: index,
        values,
        time,
    }));
    Ok(())
}

/// Whether each text can be a value of its column: one that can't be cast is in no row.
pub(super) async fn castable(
    conn: &mut Backend<'_>,
    values: &Values<'_>,
) -> Result<bool, HistoryError> {
    let Some(mut probe) = statement::cast_probe(values) else {
        return Ok(true);
    };
    match conn.attempt(probe.build()).await? {
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
