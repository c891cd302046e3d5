//! An attached table as history reads it: what the catalog says of it.
//!
//! Reads `rowcast.attached` and Postgres's catalog. Guarantees that every name which becomes part of a statement is quoted by
//! Postgres itself, here.

use sqlx::types::Json;

use super::template::Template;
use crate::db::backend::Backend;

/// The tables whose inserts are `message:new`. A table without its trigger is left out: it may be another table that was given
/// the name of one that was dropped. A column is `comparable` if its value, written as text into a room's name, casts back to
/// an equal value. The expression for the room is the one that `rowcast.room_sql` makes for the trigger. A row is `careful` if
/// it may not become jsonb just like that, or reads otherwise under another search_path: no column of such a type is missed
/// here, and a few are taken for one.
const SOURCES: &str = "
select s.room, format('%I.%I', n.nspname, c.relname) as relation,
       quote_literal(a.capture) as capture, quote_literal(s.condition) as condition, s.row_sql,
       exists (select from pg_attribute att join pg_type ty on ty.oid = att.atttypid
               where att.attrelid = c.oid and att.attnum > 0 and not att.attisdropped
                 and (ty.typnamespace <> 'pg_catalog'::regnamespace or ty.typname ~ '^_?(json$|reg)')) as careful,
       s.key_columns, s.order_column, current_user::text as role,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
       (select coalesce(string_agg(coalesce(quote_literal(piece[1]), format('(after ->> %L)', piece[2])), ' || ' order by place),
                        '''''')
        from regexp_matches(s.room, '([^{}]+)|\\{([^{}]*)\\}', 'g') with ordinality as m (piece, place)) as room_sql,
       (select coalesce(json_agg(json_build_object(
                 'name', att.attname,
                 'sql', format('t.%I', att.attname),
                 'member', format('(after ->> %L)', att.attname),
                 'type', case when ty.typbasetype <> 0 then format_type(base.oid, null) else format_type(att.atttypid, att.atttypmod) end,
                 'less', coalesce(compared.less, '<'), 'equal', coalesce(compared.equal, '='),
                 'comparable', (base.oid < 16384 or (select rolsuper from pg_roles where oid = base.typowner))
                   and (base.typcategory in ('B', 'D', 'E', 'I', 'N', 'S', 'T') or base.typname in ('uuid', 'bytea'))
                   and not exists (select from pg_cast where castsource = base.oid and casttarget = 'json'::regtype),
                 'any_text', ty.typtype = 'b' and ty.typcategory = 'S',
                 'time', base.oid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype))), '[]')
        from pg_attribute att
        join pg_type ty on ty.oid = att.atttypid
        join pg_type base on base.oid = coalesce(nullif(ty.typbasetype, 0), ty.oid)
        left join lateral (
          select max(format('operator(%I.%s)', ons.nspname, o.oprname)) filter (where ao.amopstrategy = 1) as less,
                 max(format('operator(%I.%s)', ons.nspname, o.oprname)) filter (where ao.amopstrategy = 3) as equal
          from pg_opclass oc
          join pg_am am on am.oid = oc.opcmethod and am.amname = 'btree'
          join pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
          join pg_operator o on o.oid = ao.amopopr
          join pg_namespace ons on ons.oid = o.oprnamespace
          where oc.opcdefault and oc.opcintype = base.oid and base.oid >= 16384
        ) compared on true
        where att.attrelid = c.oid and att.attnum > 0 and not att.attisdropped
          and att.attname = any (s.room_columns || s.key_columns || s.order_column)) as columns
from rowcast.sources s
join rowcast.attached a using (source)
join pg_class c on c.oid = s.relation
join pg_namespace n on n.oid = c.relnamespace
where 'insert: message:new' = any (s.events) and 'insert' = any (s.captured)
order by s.source";

/// An attached table whose rows are messages.
#[derive(sqlx::FromRow, Debug)]
pub(super) struct Source {
    pub(super) room: String,
    pub(super) relation: String,
    pub(super) capture: String,
    pub(super) careful: bool,
    pub(super) condition: Option<String>,
    pub(super) row_sql: String,
    key_columns: Vec<String>,
    order_column: Option<String>,
    /// Who asks.
    pub(super) role: String,
    pub(super) readable: bool,
    /// The room's template as an expression over `after`.
    pub(super) room_sql: String,
    columns: Json<Vec<Column>>,
}

/// A column of it that matters here.
#[derive(serde::Deserialize, Debug)]
pub(super) struct Column {
    name: String,
    /// Itself, quoted.
    pub(super) sql: String,
    /// Its value as text, out of the row's JSON.
    pub(super) member: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// The operators by which its type is indexed: an extension's are in the extension's schema.
    pub(super) less: String,
    pub(super) equal: String,
    /// Whether a text of it, cast back, equals it.
    comparable: bool,
    /// Whether every text can be cast to it.
    pub(super) any_text: bool,
    /// Whether it holds points in time.
    pub(super) time: bool,
}

/// Columns with the values that they must have.
pub(super) type Values<'a> = Vec<(&'a Column, String)>;

impl Source {
    /// Every attached table whose rows are messages, in the order of their names.
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

    /// The columns among these that can be compared by value.
    pub(super) fn comparable(&self, values: Vec<(String, String)>) -> Values<'_> {
        values
            .into_iter()
            .filter_map(|(name, value)| Some((self.column(&name)?, value)))
            .filter(|(column, _)| column.comparable)
            .collect()
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

    /// The order column, where it is there and says more than the key does.
    pub(super) fn order(&self) -> Option<&Column> {
        let name = self.order_column.as_ref()?;
        self.column(name)
            .filter(|_| !self.key_columns.contains(name))
    }

    /// What its rows are sorted by.
    pub(super) fn sort(&self) -> impl Iterator<Item = &Column> {
        self.order().into_iter().chain(self.key())
    }
}
