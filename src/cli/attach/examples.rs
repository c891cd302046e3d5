//! What a dry run prints: SQL to run by hand, and an example of each event as comments of it.
//!
//! Guarantees that nothing of a row ends a comment: what is printed may be given to psql.

use crate::db::{Example, Preview};
use crate::one_line::one_line;
use crate::stdout::print_line;

/// Prints what attaching would do.
///
/// # Errors
/// It can't be printed.
pub(super) fn print(preview: &Preview) -> anyhow::Result<()> {
    print_line("-- Nothing was changed. In a migration of your own:")?;
    for line in preview.call.split(['\n', '\r']) {
        print_line(format_args!("--   {line}"))?;
    }
    print_line("-- which runs:\n")?;
    print_line(&preview.sql)?;
    print_line("")?;
    for line in examples(preview) {
        print_line(format_args!("-- {}", one_line(&line, |_| false)))?;
    }
    Ok(())
}

/// The lines that tell of examples.
fn examples(preview: &Preview) -> Vec<String> {
    let rows = preview.rows.unwrap_or(0);
    if let Some(why) = &preview.unread {
        return vec![format!("No examples: {why}")];
    }
    if rows == 0 {
        return vec![format!("No examples: {} is empty", preview.source)];
    }
    let mut lines = vec![format!(
        "Examples, out of {rows} {} of {}:",
        if rows == 1 { "row" } else { "rows" },
        preview.source
    )];
    for example in preview.examples.iter().flatten() {
        lines.extend(told(example, rows));
    }
    lines
}

fn told(example: &Example, rows: u32) -> Vec<String> {
    let of = example
        .columns
        .iter()
        .map(|names| format!(" of {}", names.join(", ")));
    let cause = format!(
        "{}{}: {}",
        example.on,
        of.collect::<String>(),
        example.event
    );
    match (&example.room, &example.data) {
        (Some(room), Some(data)) => vec![format!("{cause} to {room}"), format!("  {data}")],
        _ => vec![format!("{cause}: none of {rows} would cause it")],
    }
}
