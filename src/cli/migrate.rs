//! `rowcast migrate`: brings the schema up to date without serving.
//!
//! Does what the start of a server does first, and closes what it opened. Used by operators whose server runs as a role that
//! may not create anything.

use super::find_database;
use crate::config::Config;
use crate::db::{Pools, prepare};
use crate::embedded::Embedded;

/// Applies the migrations, with the chat tables where `chat` asks for them.
///
/// # Errors
/// What kept them from being applied, and what to do about it.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn migrate(config: &Config, chat: bool) -> anyhow::Result<()> {
    let (database, embedded) = find_database(config).await?;
    let pools = Pools::new(&database);
    let folder = embedded.as_ref().map(Embedded::folder);
    let migrated = prepare(&database, &pools, folder, chat).await;
    pools.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    migrated?;
    println!("{}: up to date", database.describe());
    Ok(())
}
