//! `rowcast detach`: takes the triggers off a table.

use anyhow::bail;

use super::find_database::reach_database;
use crate::config::Config;
use crate::db::{Call, call};
use crate::stdout::print_line;

/// Detaches a table, and says so.
///
/// # Errors
/// No such table is attached, it can't be locked, or the database can't be reached.
pub(crate) async fn detach(config: &Config, table: &str) -> anyhow::Result<()> {
    let (database, embedded) = reach_database(config).await?;
    let answer = call(&database, Call::Detach { table }).await;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    let answer = answer?;
    if answer.ends_with("was not attached") {
        bail!("{answer}: `rowcast sources` lists what is");
    }
    print_line(answer)
}
