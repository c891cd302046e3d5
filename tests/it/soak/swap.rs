//! A dump that is restored and put in the database's place: whatever was written since the dump was begun is taken back.
//!
//! The judge reads the tables at the end, so it expects what the restored database has, and nobody may hold what was taken back.

use std::time::Duration;

use rand::RngExt as _;
use rustix::process::Signal;

use super::Soak;
use crate::harness::cluster::with_database;
use crate::harness::database::{run, value};
use crate::harness::dump::{dump, restore};
use crate::harness::wait::until_for;
use crate::harness::{Database, Launch, Postgres};

/// The database that is served.
pub(super) const NAME: &str = "served";
const RESTORED: &str = "restored";
const REPLACED: &str = "replaced";

/// A database beside the cluster's own, so that it can be swapped.
pub(super) async fn make(postgres: &Postgres) -> Database {
    Database::at(postgres.url())
        .run(&format!("create database {NAME}"))
        .await;
    let url = with_database(&postgres.url(), NAME);
    Launch::command(["migrate", "--chat"])
        .database(&url)
        .succeed()
        .await;
    Database::at(url)
}

/// Puts the restored database in the place of the one that is served. Whoever was connected is thrown out.
pub(crate) async fn swap(cluster: &Database, served: &str, restored: &str, replaced: &str) {
    let mut on = cluster.connection().await;
    run(
        &mut on,
        &format!("alter database {served} allow_connections false"),
    )
    .await;
    // In this order: a condition may be looked at in any.
    let left = format!(
        "select count(case when datname = '{served}' then pg_terminate_backend(pid) end) from pg_stat_activity"
    );
    until_for(
        Duration::from_secs(30),
        "everybody to be thrown out",
        async || (value(&mut on, &left).await == "0").then_some(()),
    )
    .await;
    run(
        &mut on,
        &format!("alter database {served} rename to {replaced}"),
    )
    .await;
    run(
        &mut on,
        &format!("alter database {restored} rename to {served}"),
    )
    .await;
    run(&mut on, &format!("drop database {replaced}")).await;
}

impl Soak {
    /// Somebody dumps the database, restores it, and puts it in its place, the servers running or stopped.
    pub(super) async fn restored_dump(&mut self) {
        let cluster = Database::at(self.postgres.url());
        let whole = dump(&self.database.url, &[]).await;
        cluster.run(&format!("create database {RESTORED}")).await;
        let complaints = restore(&with_database(&self.postgres.url(), RESTORED), whole).await;
        assert_eq!(complaints, "");
        let taken_back = self.random.random_range(0..100);
        self.ledger.more(taken_back).await;

        let stopped = self.random.random_bool(0.3);
        if stopped {
            for server in &self.servers {
                server.signal(Signal::TERM);
            }
            for server in &self.servers {
                let status = server.ended().await;
                assert!(status.success(), "a drain ends well: {status}");
            }
        }
        let failed = self.ledger.failed();
        self.open.clear();
        swap(&cluster, NAME, RESTORED, REPLACED).await;
        self.writers.forget();
        if stopped {
            for number in 0..self.servers.len() {
                self.start_server(number).await;
            }
            for network in &self.networks {
                network.proxy.lead(self.servers[network.server].address());
            }
        }
        self.excuse(failed).await;
        self.restored += 1;
    }
}
