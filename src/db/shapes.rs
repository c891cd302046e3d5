//! What is attached, with the types of its columns: what `rowcast types` writes TypeScript of.

use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Connection as _};
use std::collections::BTreeMap;

use super::link::{Settings, begin};
use super::{Database, PLAIN, cause_of};

const READ_ONLY: Settings = Settings {
    local: &[("statement_timeout", "15s"), ("lock_timeout", "2s")],
    read_only: true,
};

/// The attached tables in the order of their names. A domain is what it stands for. A type of somebody's own is JSON where it has a cast to
/// that, as `to_jsonb` takes it.
const SHAPES: &str = "
with recursive bases (oid, base, is_required) as (
  select oid, oid, false from pg_type where typtype <> 'd'
  union all
  select t.oid, b.base, t.typnotnull or b.is_required from pg_type t join bases b on b.oid = t.typbasetype where t.typtype = 'd'
), kinds as (
  select b.oid, b.is_required, t.typlen > 0 as is_short,
    case when t.typlen = -1 and t.typelem <> 0 then 'array' else case
      when t.typtype = 'e' then 'enum'
      when t.oid in ('smallint'::regtype, 'integer'::regtype, 'real'::regtype, 'float8'::regtype) then 'number'
      when t.oid = 'boolean'::regtype then 'boolean'
      when t.oid in ('json'::regtype, 'jsonb'::regtype) or t.typtype = 'c'
           or t.oid >= 16384 and exists (select from pg_cast where castsource = t.oid and casttarget = 'json'::regtype) then 'json'
      else 'text' end end as kind,
    case when t.typlen = -1 then t.typelem else 0 end as element,
    (select json_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = t.oid) as labels
  from bases b join pg_type t on t.oid = b.base
), columns as (
  select a.attrelid, json_object_agg(a.attname, json_build_object(
    'kind', k.kind, 'labels', coalesce(e.labels, k.labels), 'element', e.kind, 'dimensions', a.attndims,
    'is_required', a.attnotnull or k.is_required, 'is_short', k.is_short)) as all
  from pg_attribute a join kinds k on k.oid = a.atttypid left join kinds e on e.oid = k.element and k.kind = 'array'
  where a.attnum > 0 and not a.attisdropped
  group by a.attrelid
), named as (
  select array[n.nspname, c.relname]::text[] as name, columns.all
  from columns join pg_class c on c.oid = columns.attrelid join pg_namespace n on n.oid = c.relnamespace
)
select json_build_object(
  'source', a.source, 'events', a.events, 'columns', a.columns, 'omit', a.omit,
  'key_columns', a.key_columns, 'room_columns', a.room_columns, 'key_case', a.key_case, 'forms', a.forms, 'as_text', a.as_text,
  'words', a.words, 'defaults', a.defaults, 'lookups', a.lookups, 'may_move', exists (
    select from pg_proc p where p.pronamespace = 'rowcast'::regnamespace and p.proname = 'capture_' || a.capture || '_update'),
  'types', (select named.all from named where named.name = parse_ident(a.source)),
  'lookup_types', (select json_object_agg(l.key, named.all) from jsonb_each(a.lookups) l join named on named.name = parse_ident(l.value ->> 'table')))
from rowcast.attached a order by a.source collate \"C\"";

/// An attached table.
#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    /// The table, with its schema.
    pub source: String,
    /// Of all rooms, each with its payload.
    pub events: Vec<Value>,
    /// The columns, in their order.
    pub columns: Vec<String>,
    /// Those that `{row}` has not.
    pub omit: Vec<String>,
    /// Those of the primary key.
    pub key_columns: Vec<String>,
    /// Those that rooms are called after.
    pub room_columns: Vec<String>,
    /// `camel` or `as_is`.
    pub key_case: String,
    /// How columns become JSON, where that is not as `to_jsonb` has it.
    pub forms: Option<BTreeMap<String, String>>,
    /// Further columns that are sent as text, or `lookup.column`.
    pub as_text: Option<Vec<String>>,
    /// What is sent for values.
    pub words: Option<BTreeMap<String, BTreeMap<String, Value>>>,
    /// What is sent for null.
    pub defaults: Option<BTreeMap<String, Value>>,
    /// What is looked up.
    pub lookups: Option<BTreeMap<String, LookupShape>>,
    /// Whether a row may move from one room to another.
    pub may_move: bool,
    /// The types of its columns; none where the table is gone.
    pub types: Option<BTreeMap<String, ColumnType>>,
    /// Those of the tables that are looked up.
    pub lookup_types: Option<BTreeMap<String, BTreeMap<String, ColumnType>>>,
}

/// A lookup.
#[derive(Debug, Deserialize)]
pub(crate) struct LookupShape {
    /// What `{row}` shows of it.
    pub row: Vec<String>,
    /// The columns that are looked up, with their forms.
    pub columns: BTreeMap<String, Option<String>>,
}

/// A column's type.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ColumnType {
    /// What its values are in JSON: `number`, `boolean`, `text`, `enum`, `json` or `array`.
    pub kind: String,
    /// The labels of an enum, or of an array of them.
    pub labels: Option<Vec<String>>,
    /// What an array has in it.
    pub element: Option<String>,
    /// As the column was declared.
    pub dimensions: i32,
    /// It is never null.
    pub is_required: bool,
    /// A value has a few bytes.
    pub is_short: bool,
}

/// Every attached table.
///
/// # Errors
/// The database's own, in words.
pub(crate) async fn shapes(database: &Database) -> anyhow::Result<Vec<Shape>> {
    let right = "it takes the rights of a server, or of who attaches: `rowcast grant ROLE`";
    let read = async {
        let (mut connection, _) = database.open("rowcast", PLAIN).await?;
        let mut transaction = connection
            .begin_with(AssertSqlSafe(begin(READ_ONLY)))
            .await?;
        let query = sqlx::query_scalar(SHAPES).persistent(false);
        let shapes: Vec<Json<Shape>> = query.fetch_all(&mut *transaction).await?;
        transaction.rollback().await?;
        Ok(shapes.into_iter().map(|Json(shape)| shape).collect())
    };
    read.await.map_err(|error: sqlx::Error| {
        let cause = cause_of(&error);
        anyhow::anyhow!(
            "{}: the attached tables can't be read: {cause}; {right}",
            database.describe()
        )
    })
}
