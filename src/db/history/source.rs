//! What history reads: a room of an attached table, as the catalog has it now.
//!
//! Reads `rowcast.sources` and Postgres's catalog. Guarantees that every name which becomes part of a statement is quoted by
//! Postgres itself, here or when the table was attached.

use std::collections::BTreeMap;

use serde::Deserialize;
use sqlx::types::Json;

use super::column::{Column, Values, columns_sql};
use super::lookup::Lookup;
use super::template::Template;
use crate::db::backend::Backend;

/// The rooms of tables whose inserts are `message:new`. A table without its trigger is left out: it may be another table that was
/// given the name of one that was dropped. The expressions of `feeds` were made by `rowcast.feeds_of`, from those of the triggers. A
/// row is `careful` if it may not become jsonb just like that, or reads otherwise under another search_path: no column of such a type is
/// missed here, and a few are taken for one.
const SOURCES: &str = concat!(
    "
select f.value ->> 'room' as room, format('%I.%I', n.nspname, c.relname) as relation,
       quote_literal(a.capture) as capture,
       f.value ->> 'row_sql' as row_sql, f.value ->> 'room_sql' as room_sql, f.value ->> 'belongs_sql' as belongs_sql,
       f.value ->> 'key_sql' as key_sql, f.value ->> 'id_column' as id_column,
       array(select jsonb_array_elements_text(f.value -> 'key')) as key,
       array(select jsonb_array_elements_text(f.value -> 'order')) as \"order\",
       array(select jsonb_array_elements_text(f.value -> 'members')) as members,
       f.value -> 'columns' as placeholders,
       exists (select from pg_attribute att join pg_type ty on ty.oid = att.atttypid
               where att.attrelid = c.oid and att.attnum > 0 and not att.attisdropped
                 and (ty.typnamespace <> 'pg_catalog'::regnamespace or ty.typname ~ '^_?(json$|reg)')) as careful,
       quote_literal(a.timezone) as zone, s.key_columns, coalesce(s.order_columns, array_remove(array[s.order_column], null)) as order_columns,
       case when exists (
         select from pg_index i
         where i.indrelid = c.oid and i.indisvalid and i.indpred is null
           and (select array_agg(attname::text order by attname) from pg_attribute
                where attrelid = i.indrelid and attnum = any ((i.indkey::int2[])[0 : cardinality(told.columns) - 1])) = told.columns
           and (select attname from pg_attribute where attrelid = i.indrelid and attnum = (i.indkey::int2[])[cardinality(told.columns)])
               = coalesce(s.order_columns[1], s.order_column, s.key_columns[1])
       ) then told.columns else '{}' end as index_columns,
       current_user::text as role,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
       ",
    columns_sql!("c.oid", "t", "true"),
    " as columns,
       (select coalesce(json_agg(json_build_object(
                 'name', l.value -> 'name', 'table', l.value -> 'table', 'own', l.value -> 'own', 'key', l.value -> 'key',
                 'join', l.value -> 'join', 'no_code', l.value -> 'no_code', 'members', l.value -> 'members',
                 'readable', has_schema_privilege(theirs.relnamespace, 'usage') and has_table_privilege(theirs.oid, 'select'),
                 'columns', ",
    columns_sql!(
        "theirs.oid",
        "c",
        "(l.value -> 'members' ? att.attname or l.value -> 'key' ? att.attname)"
    ),
    ") order by l.place), '[]')
        from jsonb_array_elements(f.value -> 'lookups') with ordinality as l (value, place)
        left join (pg_class theirs join pg_namespace their_schema on their_schema.oid = theirs.relnamespace)
          on theirs.relkind = 'r' and theirs.relname = (parse_ident(l.value ->> 'table'))[2] and their_schema.nspname = (parse_ident(l.value ->> 'table'))[1]
       ) as lookups
from rowcast.sources s
join rowcast.attached a using (source)
cross join jsonb_array_elements(a.feeds) with ordinality as f (value, place)
cross join lateral (
  select array(
    select p ->> 'column' as own from jsonb_array_elements(f.value -> 'columns') as p where p ->> 'lookup' is null
    union
    select own from jsonb_array_elements(f.value -> 'columns') as p
    cross join jsonb_array_elements_text(a.lookups -> (p ->> 'lookup') -> 'column') as own
    order by own) as columns
) told
join pg_class c on c.oid = s.relation
join pg_namespace n on n.oid = c.relnamespace
where 'insert' = any (s.captured)
order by s.source, f.place"
);

/// One room of an attached table whose rows are messages.
#[derive(sqlx::FromRow, Debug)]
pub(super) struct Source {
    pub(super) room: String,
    pub(super) relation: String,
    pub(super) capture: String,
    pub(super) careful: bool,
    pub(super) row_sql: String,
    /// The room's template as an expression over `after`.
    pub(super) room_sql: String,
    /// Whether a row meets the conditions of the room.
    pub(super) belongs_sql: String,
    /// A message's id, where the table has a primary key.
    pub(super) key_sql: Option<String>,
    /// The column that rows show as `id`, where that is not what identifies them.
    pub(super) id_column: Option<String>,
    /// The members of a row that identify it, and those that sort it.
    pub(super) key: Vec<String>,
    pub(super) order: Vec<String>,
    /// All members of a row.
    pub(super) members: Vec<String>,
    /// The zone of its columns of type `timestamp`, quoted, where that isn't UTC.
    pub(super) zone: Option<String>,
    key_columns: Vec<String>,
    order_columns: Vec<String>,
    /// The columns that the room's name tells, where an index has them first and then what sorts the rows; else none.
    index_columns: Vec<String>,
    /// Who asks.
    pub(super) role: String,
    pub(super) readable: bool,
    columns: Json<Vec<Column>>,
    placeholders: Json<Vec<Placeholder>>,
    pub(super) lookups: Json<Vec<Lookup>>,
}

/// What a placeholder of the room's template stands for.
#[derive(Deserialize, Debug)]
struct Placeholder {
    placeholder: String,
    lookup: Option<String>,
    column: String,
    /// Whether it is the column's value as it is, without words and defaults.
    is_plain: bool,
}

/// What the placeholders of a room tell: values of the table's columns, and by lookup those of what is looked up.
#[derive(Default)]
pub(super) struct Told<'a> {
    pub(super) own: Values<'a>,
    pub(super) looked_up: BTreeMap<&'a str, Values<'a>>,
}

impl Source {
    /// Every room of every attached table whose rows are messages, in the order of the tables' names.
    pub(super) async fn all(conn: &mut Backend<'_>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as(SOURCES).fetch_all(conn).await
    }

    /// The room's template.
    pub(super) fn template(&self) -> Template {
        Template::parse(&self.room)
    }

    /// The primary key's columns as a template of a message's id.
    pub(super) fn key_template(&self) -> Template {
        Template::joined(&self.key_columns, ":")
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.0.iter().find(|column| column.name == name)
    }

    fn lookup(&self, name: &str) -> Option<&Lookup> {
        self.lookups.0.iter().find(|lookup| lookup.name == name)
    }

    /// The lookups that the room's name needs.
    pub(super) fn needed(&self) -> impl Iterator<Item = &Lookup> {
        let names = self
            .placeholders
            .0
            .iter()
            .filter_map(|placeholder| placeholder.lookup.as_deref());
        names.filter_map(|name| self.lookup(name))
    }

    /// The columns among these that can be compared by value.
    pub(super) fn comparable(&self, values: Vec<(String, String)>) -> Values<'_> {
        values
            .into_iter()
            .filter_map(|(name, value)| Some((self.column(&name)?, vec![value])))
            .filter(|(column, _)| column.comparable)
            .collect()
    }

    /// What the values of the room's placeholders say of columns.
    pub(super) fn told(&self, values: Vec<(String, String)>) -> Told<'_> {
        let mut told = Told::default();
        for (name, value) in values {
            let named = self.placeholders.0.iter().find(|p| p.placeholder == name);
            let Some(named) = named.filter(|named| named.is_plain) else {
                continue;
            };
            let lookup = named.lookup.as_deref().map(|lookup| self.lookup(lookup));
            let (column, values) = match lookup {
                None => (self.column(&named.column), &mut told.own),
                Some(Some(lookup)) => (
                    lookup.column(&named.column),
                    told.looked_up.entry(&*lookup.name).or_default(),
                ),
                Some(None) => continue,
            };
            values.extend(
                column
                    .filter(|column| column.comparable)
                    .map(|column| (column, vec![value])),
            );
        }
        told
    }

    /// The primary key; empty where there is none, or not all of it any more.
    pub(super) fn key(&self) -> Vec<&Column> {
        let key: Vec<_> = self
            .key_columns
            .iter()
            .filter_map(|name| self.column(name))
            .collect();
        if key.len() == self.key_columns.len() {
            key
        } else {
            Vec::new()
        }
    }

    /// An id as the values of the key's columns, where all but one are of types that have no colon in their texts; else nothing.
    pub(super) fn split_key(&self, id: &str) -> Vec<(String, String)> {
        let key = self.key();
        let mut open = (0..key.len()).filter(|at| key[*at].may_have_colon());
        let (Some(open), None) = (open.next(), open.next()) else {
            return Vec::new();
        };
        let mut first: Vec<_> = id.splitn(open + 1, ':').collect();
        let rest = first.pop().unwrap_or_default();
        let mut last: Vec<_> = rest.rsplitn(key.len() - open, ':').collect();
        last.reverse();
        let names = key.into_iter().map(|column| column.name.clone());
        let values = first.into_iter().chain(last).map(str::to_owned);
        names.zip(values).collect()
    }

    /// Whether an index gives the rows with these values as they are sorted.
    pub(super) fn is_sorted_by_index(&self, values: &Values<'_>) -> bool {
        let told = |name: &String| {
            let one = |(column, values): &(&Column, Vec<String>)| {
                column.name == *name && values.len() == 1
            };
            values.iter().any(one)
        };
        !self.index_columns.is_empty() && self.index_columns.iter().all(told)
    }

    /// What its rows are sorted by.
    pub(super) fn sort(&self) -> Vec<&Column> {
        let mut sort: Vec<&Column> = Vec::new();
        let order = self
            .order_columns
            .iter()
            .filter_map(|name| self.column(name));
        for column in order.chain(self.key()) {
            if !sort.iter().any(|known| known.name == column.name) {
                sort.push(column);
            }
        }
        sort
    }
}
