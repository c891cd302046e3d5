//! A room that is called after rows of other tables: which of the attached table's rows are of that room, by values that an index has.

use sqlx::{Postgres, QueryBuilder};

use super::HistoryError;
use super::column::Values;
use super::lookup::Lookup;
use super::place::castable;
use super::source::{Source, Told};
use super::statement::push_equal;
use crate::db::backend::Backend;

/// More rows than these that are called alike are not gone through: then each row of the table is asked for its room.
const MAX_KEYS: usize = 100;

impl Source {
    /// Why what the room is called after can't be looked up.
    pub(super) fn lost_lookup(&self) -> Option<HistoryError> {
        let lookup = self.needed().find(|lookup| !lookup.is_there())?;
        Some(self.lost(lookup))
    }

    /// Keeps the tables that are looked up as they are until the transaction ends, and says what is wrong if a read of them may run
    /// code of their owners'.
    pub(super) async fn lock_lookups(
        &self,
        conn: &mut Backend<'_>,
    ) -> Result<Option<HistoryError>, HistoryError> {
        for lookup in self.lookups.0.iter().filter(|lookup| lookup.is_there()) {
            let Lookup { table, no_code, .. } = lookup;
            let mut lock = QueryBuilder::<Postgres>::new("lock table ");
            lock.push(table).push(" in access share mode");
            let locked = lock.build().execute(&mut *conn).await;
            locked.map_err(|error| self.failed(error))?;
            let mut check = QueryBuilder::<Postgres>::new("select coalesce((select ");
            check.push(no_code);
            check.push(" from pg_class c where c.oid = to_regclass(");
            check.push_bind(table.clone()).push(")), false)");
            if !check
                .build_query_scalar::<bool>()
                .fetch_one(&mut *conn)
                .await?
            {
                return Ok(Some(self.lost(lookup)));
            }
        }
        Ok(None)
    }

    fn lost(&self, lookup: &Lookup) -> HistoryError {
        match lookup.readable {
            Some(false) => HistoryError::NotGranted {
                from: self.relation.clone(),
                table: lookup.table.clone(),
                role: self.role.clone(),
            },
            _ => HistoryError::LookupGone {
                from: self.relation.clone(),
                lookup: lookup.name.clone(),
                table: lookup.table.clone(),
            },
        }
    }

    /// The values of the table's columns that a room's rows have. Nothing where no row can be of that room.
    pub(super) async fn resolve<'a>(
        &'a self,
        conn: &mut Backend<'_>,
        told: Told<'a>,
    ) -> Result<Option<Values<'a>>, HistoryError> {
        let mut values = told.own;
        for (name, wanted) in told.looked_up {
            let lookup = self.needed().find(|lookup| lookup.name == name);
            let Some((lookup, own)) = lookup.and_then(|found| Some((found, found.own.as_ref()?)))
            else {
                continue;
            };
            if wanted.is_empty() {
                continue;
            }
            if !castable(conn, &wanted).await? {
                return Ok(None);
            }
            let mut sql = QueryBuilder::<Postgres>::new("select array[");
            for (place, key) in lookup
                .key
                .iter()
                .filter_map(|key| lookup.column(key))
                .enumerate()
            {
                sql.push(if place == 0 { "" } else { ", " });
                sql.push(&key.sql).push("::text");
            }
            sql.push(format_args!("] from {} c where true", lookup.table));
            push_equal(&mut sql, &wanted);
            sql.push(format_args!(" limit {}", MAX_KEYS + 1));
            let keys: Vec<(Vec<String>,)> = sql
                .build_query_as()
                .fetch_all(&mut *conn)
                .await
                .map_err(|error| self.failed(error))?;
            conn.pin_names().await?;
            if keys.is_empty() {
                return Ok(None);
            }
            if keys.len() > MAX_KEYS {
                continue;
            }
            for (place, own) in own.iter().enumerate() {
                let Some(column) = self.column(own) else {
                    return Ok(None);
                };
                let mut texts: Vec<_> = keys.iter().map(|(key,)| key[place].clone()).collect();
                texts.sort();
                texts.dedup();
                values.push((column, texts));
            }
        }
        Ok(Some(values))
    }
}
