//! `rowcast sources`: the attached tables, and what is amiss with them.

use super::find_database::on_database;
use crate::config::Config;
use crate::db::list_sources;
use crate::stdout::print_line;

/// Prints a line for each attached table and one for each of its problems, or all of it as JSON.
///
/// # Errors
/// The database can't be reached or read.
pub(crate) async fn sources(config: &Config, json: bool) -> anyhow::Result<()> {
    let list = async |database| list_sources(&database).await;
    let listed = on_database(config, list).await?;
    if json {
        return print_line(serde_json::to_string_pretty(&listed)?);
    }
    if listed.is_empty() {
        print_line("no table is attached")?;
    }
    for source in listed {
        print_line(format_args!(
            "{}  {}  {}",
            source.source,
            source.room,
            source.events.join("; ")
        ))?;
        for problem in source.problems {
            print_line(format_args!("  problem: {problem}"))?;
        }
    }
    Ok(())
}
