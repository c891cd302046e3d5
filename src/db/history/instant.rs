//! When a row was, as far as its order column says: by that, rows of several tables are merged. No I/O.
//!
//! Guarantees that a table's rows are in the same order by their points in time as they are by the column, so that a page which ends at
//! one point in time is cut at one place of the table's index. Only a time that its zone skips, as clocks are put forward, has none of its
//! own: it counts as the moment of the skip.

use sqlx::{Postgres, QueryBuilder};

use super::column::Column;
use super::source::Source;

/// Between these, a time is a `timestamptz` in every zone, and so is what that shows in another. Whatever is beyond, dates among it that
/// no `timestamptz` can be of, counts as the nearer one.
const FIRST: &str = "'4714-12-15 00:00:00+00 BC'::timestamptz";
const LAST: &str = "'294276-12-15 00:00:00+00'::timestamptz";

/// A column that holds points in time.
pub(super) struct Instant<'a> {
    column: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Instant,
    Date,
    /// In this zone, quoted.
    Local(&'a str),
}

impl Source {
    /// What its rows are sorted by first, where that is a point in time.
    pub(super) fn instant(&self) -> Option<Instant<'_>> {
        let column = self.sort().into_iter().next().filter(|first| first.time)?;
        let kind = match &self.zone {
            _ if column.type_name == "date" => Kind::Date,
            Some(zone) if column.is_local_time() => Kind::Local(zone),
            // The session's zone is UTC.
            _ => Kind::Instant,
        };
        let Column { sql, .. } = column;
        Some(Instant { column: sql, kind })
    }
}

impl Instant<'_> {
    /// As a `timestamptz`.
    pub(super) fn sql(&self) -> String {
        let Self { column, kind } = self;
        match kind {
            Kind::Instant => format!("{column}::timestamptz"),
            Kind::Date => format!("({})::timestamptz", bounded(column, "date")),
            // Postgres takes a time that was skipped as if clocks had not been put forward yet, which is later than what follows it. The
            // skip is searched by halves.
            Kind::Local(zone) => format!(
                "(select case when told.back = told.local then told.instant else (
                    with recursive cut (low, high) as (
                      select told.instant - (told.back - told.local), told.instant
                      union all
                      select case when is_before then middle else low end, case when is_before then high else middle end
                      from (select low, high, middle, middle at time zone {zone} < told.local as is_before
                            from (select low, high, low + (high - low) / 2 as middle from cut where high - low > '1 us') halves) asked)
                    select min(high) from cut) end
                  from (select local, local at time zone {zone} as instant,
                               (local at time zone {zone}) at time zone {zone} as back
                        from (select {} as local) bounded) told)",
                bounded(column, "timestamp")
            ),
        }
    }

    /// In microseconds, exactly; the infinities are the least and the greatest number.
    pub(super) fn microseconds_sql(&self) -> String {
        format!(
            "(select greatest(least(exact, 9223372036854775807), -9223372036854775808)::bigint
              from (select extract(epoch from {}) * 1000000 - 946684800000000 as exact) since_2000 where exact is not null)",
            self.sql()
        )
    }

    /// Rows that are older than a time, or also those that are as old. Null counts as the latest time.
    pub(super) fn push_older(
        &self,
        sql: &mut QueryBuilder<Postgres>,
        time: Option<&str>,
        or_equal: bool,
    ) {
        let Self { column, kind } = self;
        let Some(time) = time else {
            if !or_equal {
                sql.push(format_args!(" and {column} is not null"));
            }
            return;
        };
        let less = if or_equal { "<=" } else { "<" };
        sql.push(format_args!(" and {column} {less} "));
        if let Kind::Instant = kind {
            sql.push_bind(time.to_owned()).push("::timestamptz");
            return;
        }
        // For the index, which goes by the clock: too much where an hour comes twice, and at the ends, but never too little.
        // What counts as the last time may be up to a week before it, by its zone.
        sql.push(format_args!(
            "(select case when at >= {LAST} - interval '8 days' then 'infinity' else greatest(at, {FIRST}) end"
        ));
        if let Kind::Local(zone) = kind {
            sql.push(format_args!(" at time zone {zone}"));
        }
        sql.push(" from (select ").push_bind(time.to_owned());
        sql.push(format_args!(
            "::timestamptz as at) asked) and {} {less} ",
            self.sql()
        ));
        sql.push_bind(time.to_owned()).push("::timestamptz");
    }
}

/// A finite value of the column, or the nearer of the ends.
fn bounded(column: &str, type_name: &str) -> String {
    format!(
        "case when isfinite({column}) then greatest(least({column}, ({LAST})::{type_name}), ({FIRST})::{type_name}) else {column} end"
    )
}
