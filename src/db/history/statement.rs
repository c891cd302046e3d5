//! The statements of a page, made for one attached table.
//!
//! Guarantees that every name in them was quoted by Postgres and that every value is a parameter. A row is turned into JSON as
//! the triggers do it. It belongs to a room if its rendered template is that room's name; columns are compared as well, but only
//! so that an index can be used.

use sqlx::{Postgres, QueryBuilder};

use super::column::{Column, Values};
use super::source::Source;
use crate::db::numbers::{CAREFUL_MEMBER, STAND_IN, UNTRIED_ROW_BYTES, WHOLE_PAYLOAD_BYTES};

/// Which rows of a table.
pub(super) struct Scope<'a> {
    pub(super) room: &'a str,
    /// Values by which an index finds rows of the room. Whether a row belongs to the room is decided by its rendered template.
    pub(super) values: Values<'a>,
    pub(super) only: Only<'a>,
}

/// Which rows of the room.
pub(super) enum Only<'a> {
    All,
    /// The messages of this id, which the expression shows, found by these values.
    Id {
        sql: &'a str,
        id: &'a str,
        values: Values<'a>,
    },
    /// Those that come before the row with these values, in the order of the table.
    Before(&'a [Option<String>]),
    /// Rows that are older than a point in time, or also those that are as old. Null counts as the latest time.
    Older {
        time: Option<&'a str>,
        or_equal: bool,
    },
}

/// The newest `limit` rows, as text, with their points in time; what lies beyond `max_bytes` is counted only.
pub(super) fn page(
    source: &Source,
    scope: &Scope<'_>,
    limit: i64,
    max_payload: i32,
    max_bytes: i64,
) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "select time, body, found from (
           select *, count(*) over () as found,
                  sum(octet_length(body)) over (order by place) - octet_length(body) as bytes_before
           from (
             select place, time, case when octet_length(row::text) <= least(",
    );
    // As capture decides what is sent whole.
    sql.push_bind(max_payload)
        .push(format_args!(
            ", {WHOLE_PAYLOAD_BYTES})
                    and (careful is distinct from 'bounded' or strpos(row::text, '{STAND_IN}') = 0) then row::text
                    else rowcast.truncate_payload(row)::text end as body
             from (
               select row_number() over () as place, time, after ->> '{CAREFUL_MEMBER}' as careful, ",
        ))
        .push(&source.row_sql)
        .push(" as row from (select a.after, ")
        .push(match source.instant() {
            Some(instant) => instant.microseconds_sql(),
            None => "null::bigint".to_owned(),
        })
        .push(" as time");
    push_scope(&mut sql, source, scope);
    for (place, column) in source.sort().into_iter().enumerate() {
        // Nulls come first then, as an index in its usual order has them when it is read backwards.
        sql.push(if place == 0 { " order by " } else { ", " })
            .push(&column.sql)
            .push(" desc");
    }
    sql.push(" limit ")
        .push_bind(limit)
        .push(") newest) rendered) cut) measured where bytes_before < ")
        .push_bind(max_bytes)
        .push(" order by place");
    sql
}

/// Reads where a message stands: the values that its table is sorted by, and when it was.
pub(super) fn anchor(source: &Source, scope: &Scope<'_>) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("select array[");
    for (place, column) in source.sort().into_iter().enumerate() {
        sql.push(if place == 0 { "" } else { ", " })
            .push(&column.sql)
            .push("::text");
    }
    let time = source.instant().map(|instant| instant.sql());
    let time = time.as_deref().unwrap_or("null");
    sql.push(format_args!("]::text[], ({time})::text"));
    push_scope(&mut sql, source, scope);
    sql.push(" limit 2");
    sql
}

/// Tests whether texts can be cast to their columns' types; `None` if any text can.
pub(super) fn cast_probe(values: &Values<'_>) -> Option<QueryBuilder<Postgres>> {
    let mut sql = QueryBuilder::new("select true");
    let mut unsure = false;
    for (column, values) in values.iter().filter(|(column, _)| !column.any_text) {
        for value in values {
            unsure = true;
            sql.push(" and ");
            push_value(&mut sql, column, value);
            sql.push(" is not null");
        }
    }
    unsure.then_some(sql)
}

fn push_scope(sql: &mut QueryBuilder<Postgres>, source: &Source, scope: &Scope<'_>) {
    let Source {
        relation,
        capture,
        room_sql,
        ..
    } = source;
    let json = if source.careful {
        format!("rowcast.careful_row(t.*, {capture})")
    } else {
        format!(
            "case when rowcast.is_plain({capture}) and pg_column_size(t.*) <= {UNTRIED_ROW_BYTES} then to_jsonb(t.*) \
             else rowcast.careful_row(t.*, {capture}) end"
        )
    };
    let mut row = format!("select {json} as after offset 0");
    for lookup in &source.lookups.0 {
        row = format!(
            "select r.after || jsonb_build_object('{}', {}) as after from ({row}) r offset 0",
            lookup.name,
            lookup.sql()
        );
    }
    // In the inner query the name "after" means the JSON, whatever the table's columns are called.
    sql.push(format_args!(
        " from {relation} t cross join lateral (select after from ({row}) j where ({room_sql}) = "
    ));
    sql.push_bind(scope.room.to_owned());
    sql.push(format_args!(" and ({})", source.belongs_sql));
    if let Only::Id { sql: shown, id, .. } = &scope.only {
        sql.push(format_args!(" and ({shown}) = "));
        sql.push_bind((*id).to_owned());
    }
    sql.push(") a where true");
    push_equal(sql, &scope.values);
    match &scope.only {
        Only::All => {}
        Only::Id { values, .. } => push_equal(sql, values),
        Only::Before(values) => push_before(sql, source, values),
        Only::Older { time, or_equal } => {
            let instant = source.instant();
            let instant = instant.expect("a table that has points in time");
            instant.push_older(sql, *time, *or_equal);
        }
    }
}

/// Compares columns with the values one of which they must have.
pub(super) fn push_equal(sql: &mut QueryBuilder<Postgres>, values: &Values<'_>) {
    for (column, values) in values {
        sql.push(format_args!(" and {} {} ", column.sql, column.equal));
        if let [value] = &**values {
            push_value(sql, column, value);
            continue;
        }
        sql.push("any (array[");
        for (place, value) in values.iter().enumerate() {
            sql.push(if place == 0 { "" } else { ", " });
            push_value(sql, column, value);
        }
        sql.push("])");
    }
}

/// Rows that come before the one with these values. A null is later than any value.
fn push_before(sql: &mut QueryBuilder<Postgres>, source: &Source, values: &[Option<String>]) {
    let sorted: Vec<_> = source.sort().into_iter().zip(values).collect();
    // Rows are compared by operators of one name only, and as a whole only where nothing is null.
    let by_columns = sorted
        .iter()
        .any(|(column, value)| column.less != "<" || value.is_none());
    sql.push(" and (");
    if by_columns || sorted.is_empty() {
        push_before_by_columns(sql, &sorted);
    } else {
        let columns: Vec<_> = sorted.iter().map(|(column, _)| &*column.sql).collect();
        sql.push(format_args!("({}) < (", columns.join(", ")));
        for (place, (column, value)) in sorted.iter().enumerate() {
            sql.push(if place == 0 { "" } else { ", " });
            push_value(sql, column, value.as_deref().unwrap_or_default());
        }
        sql.push(")");
    }
    sql.push(")");
}

/// `a < $ or (a = $ and (b < $))`, and so on.
fn push_before_by_columns(sql: &mut QueryBuilder<Postgres>, sorted: &[(&Column, &Option<String>)]) {
    for (place, (column, value)) in sorted.iter().enumerate() {
        match value {
            Some(value) => {
                sql.push(format_args!("{} {} ", column.sql, column.less));
                push_value(sql, column, value);
            }
            None => {
                sql.push(format_args!("{} is not null", column.sql));
            }
        }
        if place + 1 < sorted.len() {
            match value {
                Some(value) => {
                    sql.push(format_args!(" or ({} {} ", column.sql, column.equal));
                    push_value(sql, column, value);
                }
                None => {
                    sql.push(format_args!(" or ({} is null", column.sql));
                }
            }
            sql.push(" and (");
        }
    }
    sql.push("))".repeat(sorted.len().saturating_sub(1)));
    if sorted.is_empty() {
        sql.push("false");
    }
}

fn push_value(sql: &mut QueryBuilder<Postgres>, column: &Column, value: &str) {
    sql.push_bind(value.to_owned())
        .push("::")
        .push(&column.type_name);
}
