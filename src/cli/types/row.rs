//! The type of `{row}`. Follows rowcast.row_members (`migrations/0007_values.sql`).

use super::Members;
use super::column::{Reference, found_type, type_of};
use super::text::wire_name;
use crate::db::Shape;

/// The members of a source's row, in their order.
pub(super) fn of(shape: &Shape) -> Members {
    let mut members = Members::default();
    let wire = |name: &str| wire_name(&shape.key_case, name);
    let has_id = shape.columns.iter().any(|name| wire(name) == "id");
    if !shape.key_columns.is_empty() && !has_id {
        members.add("id", "string");
    }
    for name in shape
        .columns
        .iter()
        .filter(|name| !shape.omit.contains(name))
    {
        let reference = Reference {
            lookup: None,
            column: name,
            manner: None,
        };
        members.add(&wire(name), &type_of(shape, &reference, false));
    }
    for (name, lookup) in shape
        .lookups
        .iter()
        .flatten()
        .filter(|(_, lookup)| !lookup.row.is_empty())
    {
        let mut found = Members::default();
        for column in &lookup.row {
            let reference = Reference {
                lookup: Some(name),
                column,
                manner: None,
            };
            found.add(&wire(column), &found_type(shape, &reference));
        }
        members.add(&wire(name), &format!("{} | null", found.inline()));
    }
    members
}
