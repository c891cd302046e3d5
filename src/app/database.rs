//! The first step of the start: find the database or start the embedded one, wait for it, apply the migrations.
//!
//! Waits for as long as it takes for a database that is away. Fails at once where waiting can't help.

use crate::cli;
use crate::config::Config;
use crate::db::{self, Database, Pools};
use crate::embedded::Embedded;

/// The database that is served.
pub(super) struct Served {
    pub(super) database: Database,
    pub(super) pools: Pools,
    pub(super) embedded: Option<Embedded>,
}

/// Finds the database, waits for it, and brings its schema up to date.
pub(super) async fn start(config: &Config) -> anyhow::Result<Served> {
    let (database, embedded) = cli::find_database(config).await?;
    let pools = Pools::new(&database);
    let folder = embedded.as_ref().map(Embedded::folder);
    db::prepare(&database, &pools, folder, embedded.is_some()).await?;
    Ok(Served {
        database,
        pools,
        embedded,
    })
}
