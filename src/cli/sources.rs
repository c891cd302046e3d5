//! `rowcast sources`: the attached tables, and what is amiss with them.

use super::find_database::reach_database;
use crate::config::Config;
use crate::db::list_sources;

/// Prints a line for each attached table and one for each of its problems, or all of it as JSON.
///
/// # Errors
/// The database can't be reached or read.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn sources(config: &Config, json: bool) -> anyhow::Result<()> {
    let (database, embedded) = reach_database(config).await?;
    let listed = list_sources(&database).await;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    let listed = listed?;
    if json {
        println!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(());
    }
    if listed.is_empty() {
        println!("no table is attached");
    }
    for source in listed {
        println!(
            "{}  {}  {}",
            source.source,
            source.room,
            source.events.join("; ")
        );
        for problem in source.problems {
            println!("  problem: {problem}");
        }
    }
    Ok(())
}
