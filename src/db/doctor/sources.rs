//! The attached tables: what keeps them from being captured, and the indexes by which history finds a room's rows.

use serde::Deserialize;

use super::source_entry::{SOURCES, SourceEntry};
use super::{Doctor, Finding};

/// Tables whose history has no index that begins with the columns of the room and goes on with what history is sorted by. Where the
/// room names no column, the index begins with the order. A column of the order that is one of the room's has one value. A room that
/// is called after what is looked up needs an index of the columns that point there, and one of the table that is looked up.
const UNINDEXED: &str = "
with feed as (
  select s.relation, s.order_columns, s.order_column, s.key_columns, f.value as feed
  from rowcast.sources s cross join jsonb_array_elements(s.feeds) as f
  where s.relation is not null
), needed as (
  select feed.*, p ->> 'column' as col, l as lookup
  from feed cross join jsonb_array_elements(feed -> 'columns') as p
  left join jsonb_array_elements(feed -> 'lookups') as l on l ->> 'name' = p ->> 'lookup'
), source as (
  select distinct oid, room_columns,
         array(select name from unnest(sorted) with ordinality as o (name, place)
               where name <> all (room_columns) group by name order by min(place)) as sorted
  from (
    select feed.relation as oid, coalesce(feed.order_columns, array_remove(array[feed.order_column], null)) || feed.key_columns as sorted,
           array(select distinct col from (
             select n.col from needed n where n.feed = feed.feed and n.relation = feed.relation and n.lookup is null
             union all
             select jsonb_array_elements_text(nullif(n.lookup -> 'own', 'null')) from needed n where n.feed = feed.feed and n.relation = feed.relation
           ) cols order by col) as room_columns
    from feed
    union all
    select (n.lookup ->> 'table')::regclass, '{}', array_agg(distinct n.col order by n.col)
    from needed n where to_regclass(n.lookup ->> 'table') is not null group by n.lookup ->> 'table', n.relation, n.feed
  ) wanted
  where not exists (select from unnest(room_columns || sorted) as name
                    where not exists (select from pg_attribute where attrelid = oid and attname = name and not attisdropped))
), found as (
  select source.*, i.leading,
         i.leading[1 : cardinality(room_columns)] @> room_columns and cardinality(i.leading) >= cardinality(room_columns) as by_room,
         sorted = '{}' or i.leading[cardinality(room_columns) + 1] = sorted[1] as by_order
  from source left join lateral (
    select array(select coalesce(a.attname::text, '') from unnest(x.indkey) with ordinality as k (attnum, place)
                 left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum and k.attnum <> 0
                 where k.place <= x.indnkeyatts order by k.place) as leading
    from pg_index x where x.indrelid = source.oid and x.indisvalid and x.indpred is null
  ) i on true
)
select format('%I.%I', n.nspname, c.relname) as name, c.reltuples::float8 as rows,
       array_to_string(room_columns, ', ') as room,
       coalesce(bool_or(by_room), false) as by_room,
       format('create index concurrently on %I.%I (%s);', n.nspname, c.relname,
         (select string_agg(quote_ident(name), ', ') from unnest(room_columns || sorted) as name)) as remedy
from found join pg_class c using (oid) join pg_namespace n on n.oid = c.relnamespace
where room_columns || sorted <> '{}'
group by n.nspname, c.relname, c.reltuples, room_columns, sorted
having not coalesce(bool_or(by_room and by_order), false)
order by 1";

impl Doctor {
    pub(super) async fn sources(&mut self) {
        let asked = self.rows(SOURCES).await;
        let found = asked.map(|sources: Vec<SourceEntry>| {
            if sources.is_empty() {
                return vec![Finding::warning(
                    "sources",
                    "no table is attached",
                    "There are no events but those that rowcast.emit makes.",
                )
                .paste("select rowcast.attach('public.messages', room => 'conversation:{contact_id}', on_insert => 'message:new');")];
            }
            let mut findings: Vec<_> = sources
                .iter()
                .flat_map(|source| source.mends().into_iter().map(move |mend| (source, mend)))
                .map(|(source, mend)| {
                    let said = format!("{}: {}", source.source, mend.said);
                    Finding::failure("sources", said, mend.means).paste(mend.paste)
                })
                .collect();
            if findings.is_empty() {
                let names: Vec<_> = sources.iter().map(|source| &*source.source).collect();
                findings.push(Finding::ok(
                    "sources",
                    format!("{} attached: {}", names.len(), names.join(", ")),
                ));
            }
            findings
        });
        self.conclude("sources", found);
    }

    pub(super) async fn indexes(&mut self) {
        #[derive(Deserialize)]
        struct Unindexed {
            name: String,
            rows: f64,
            room: String,
            by_room: bool,
            remedy: String,
        }
        let asked = self.rows(UNINDEXED).await;
        let found = asked.map(|tables: Vec<Unindexed>| {
            if tables.is_empty() {
                return vec![Finding::ok(
                    "indexes",
                    "history has the indexes that it needs",
                )];
            }
            let line = |table: Unindexed| {
                let said = if table.by_room {
                    format!(
                        "the index of {} on {} does not go on with the order of history",
                        table.name, table.room
                    )
                } else {
                    format!(
                        "{} has no index for history by {}",
                        table.name,
                        if table.room.is_empty() {
                            "its order"
                        } else {
                            &table.room
                        }
                    )
                };
                let means = format!(
                    "A page of history reads {}: {:.0} rows now.",
                    if table.by_room {
                        "all rows of its room"
                    } else {
                        "the whole table"
                    },
                    table.rows.max(0.0)
                );
                Finding::warning("indexes", said, means).paste(table.remedy)
            };
            tables.into_iter().map(line).collect()
        });
        self.conclude("indexes", found);
    }
}
