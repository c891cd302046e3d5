//! `rowcast detach`: takes the triggers off a table.

use anyhow::bail;

use super::find_database::on_database;
use crate::config::Config;
use crate::db::{Call, call};
use crate::stdout::print_line;

/// Detaches a table, and says so.
///
/// # Errors
/// No such table is attached, it can't be locked, or the database can't be reached.
pub(crate) async fn detach(config: &Config, table: &str) -> anyhow::Result<()> {
    let detach = async |database| call(&database, Call::Detach { table }).await;
    let answer = on_database(config, detach).await?;
    if answer.ends_with("was not attached") {
        bail!("{answer}: `rowcast sources` lists what is");
    }
    print_line(answer)
}
