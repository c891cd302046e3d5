//! Rows of other tables that an attached table's rows point to, and what history takes of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::column::Column;

/// What is looked up for each row of an attached table, as `rowcast.feeds_of` says it.
#[derive(Deserialize, Debug)]
pub(super) struct Lookup {
    /// The member of the row that has what was found.
    pub(super) name: String,
    pub(super) table: String,
    /// The columns of the attached table that point to it; nothing where columns of another lookup do.
    pub(super) own: Option<Vec<String>>,
    pub(super) key: Vec<String>,
    /// Which row of it, called `c`, belongs to the row `r.after`.
    join: String,
    /// Whether a read of it runs nobody's code, as an SQL expression over its row `c` of `pg_class`.
    pub(super) no_code: String,
    /// What is taken of it: columns, with their expressions.
    members: BTreeMap<String, String>,
    /// Nothing where there is no such table.
    pub(super) readable: Option<bool>,
    /// Those of its key and its members that are there.
    columns: Vec<Column>,
}

impl Lookup {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether it finds anything, as far as the catalog tells.
    pub(super) fn is_there(&self) -> bool {
        self.readable == Some(true) && self.key.iter().all(|name| self.column(name).is_some())
    }

    /// What it finds for the row `r.after`, as an SQL expression.
    pub(super) fn sql(&self) -> String {
        if !self.is_there() {
            return "null".to_owned();
        }
        let members = self
            .members
            .iter()
            .filter(|(name, _)| self.column(name).is_some());
        let members: Vec<_> = members
            .map(|(name, sql)| format!("'{}', {sql}", name.replace('\'', "''")))
            .collect();
        let Self { table, join, .. } = self;
        format!(
            "(select jsonb_build_object({}) from {table} c where {join})",
            members.join(", ")
        )
    }
}
