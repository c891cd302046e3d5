//! `rowcast migrate`: brings the schema up to date without serving.
//!
//! Does what the start of a server does first, and closes what it opened. Used by operators whose server runs as a role that
//! may not create anything. Never waits longer than it was told to, for the database or for a lock, and then says what for.

use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;
use tokio::time::timeout;

use super::find_database;
use crate::config::Config;
use crate::db::{ChatTables, Schema, prepare, settle_conversations};
use crate::embedded::Embedded;
use crate::status::StartStatus;
use crate::stdout::print_line;

/// Applies the migrations, with the chat tables where `chat` asks for them.
///
/// # Errors
/// What kept them from being applied, and what to do about it.
pub(crate) async fn migrate(config: &Config, chat: bool, patience: Duration) -> anyhow::Result<()> {
    let (database, embedded) = find_database(config).await?;
    let name = database.describe();
    let schema = Schema {
        chat: if chat {
            ChatTables::Wanted
        } else {
            ChatTables::NotWanted
        },
        apply: true,
        may_block_writers: true,
        folder: embedded.as_ref().map(Embedded::folder),
    };
    let (waiting, status) = watch::channel(StartStatus::default());
    let migrated = timeout(patience, prepare(database, &schema, &waiting)).await;
    if let (true, Ok(Ok((database, _)))) = (chat, &migrated) {
        // A server does it, too, where this fails.
        let counted = timeout(patience, settle_conversations(database)).await;
        if let Ok(Err(error)) = counted {
            tracing::warn!("{name}: the conversations are not counted yet: {error}");
        }
    }
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    let Ok(prepared) = migrated else {
        let patience = humantime::format_duration(patience);
        let cause = &status.borrow().cause;
        bail!("{name}: gave up after {patience} (--timeout): {cause}");
    };
    let (_, applied) = prepared?;
    match applied.len() {
        0 => print_line(format_args!("{name}: up to date")),
        _ => print_line(format_args!(
            "{name}: up to date, applied {}",
            applied.join(", ")
        )),
    }
}
