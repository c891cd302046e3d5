//! The third step of the start: find the database or start the embedded one, wait for it, apply the migrations.
//!
//! Waits for as long as it takes for a database that is away. Fails at once where waiting can't help.

use tokio::sync::watch;

use crate::cli;
use crate::config::{Config, Migrate};
use crate::db::{self, ChatTables, Database, Pools, Schema};
use crate::embedded::Embedded;
use crate::status::StartStatus;

/// The database that is served.
pub(super) struct Served {
    pub(super) database: Database,
    pub(super) pools: Pools,
    pub(super) embedded: Option<Embedded>,
}

/// Finds the database, waits for it, and brings its schema up to date. `waiting` says what for.
pub(super) async fn start(
    config: &Config,
    waiting: &watch::Sender<StartStatus>,
) -> anyhow::Result<Served> {
    if config.database.is_none() {
        let status = StartStatus::working("database", "the embedded Postgres is being started");
        waiting.send_replace(status);
    }
    let (database, embedded) = cli::find_database(config).await?;
    let schema = Schema {
        chat: if embedded.is_some() {
            ChatTables::MadeIfNone
        } else {
            ChatTables::NotWanted
        },
        apply: config.migrate == Migrate::Auto,
        // Nobody else is there to migrate the embedded database, and nobody writes to it before it is served.
        may_block_writers: embedded.is_some(),
        folder: embedded.as_ref().map(Embedded::folder),
    };
    let (database, _) = db::prepare(database, &schema, waiting).await?;
    let status = StartStatus::working("reader", "the outbox was not read yet");
    waiting.send_replace(status);
    Ok(Served {
        pools: Pools::new(&database),
        database,
        embedded,
    })
}
