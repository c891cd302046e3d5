//! `rowcast migrate`: brings the schema up to date without serving.

use crate::app;
use crate::config::Config;

/// Applies the migrations, with the chat tables where `chat` asks for them.
///
/// # Errors
/// What kept them from being applied, and what to do about it.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub async fn migrate(config: &Config, chat: bool) -> anyhow::Result<()> {
    let (database, embedded) = app::database(config).await?;
    let pool = database.pool();
    let migrated = app::prepare(&database, &pool, embedded.as_ref(), chat).await;
    pool.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    migrated?;
    println!("{}: up to date", database.describe());
    Ok(())
}
