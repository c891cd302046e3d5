//! The template of the tests' databases.
//!
//! Built once per set of migrations by the real `rowcast migrate --chat`, named by what they say, and left for the next
//! run on the same cluster. Its inbox is kept by every write, but is not attached: tests count the events of what they write, and an
//! inbox doubles them. `Database::inbox` attaches it.

use std::fs;
use std::path::Path;

use sqlx::Connection;

use super::cluster::{Cluster, fnv, with_database};
use super::database::{connect, run, value};
use super::launch::Launch;

/// Its name, once it stands.
pub(super) async fn of(cluster: &Cluster) -> String {
    let name = format!("rowcast_template_{:08x}", fnv(&migrations()));
    let mut postgres = connect(&cluster.url_of("postgres")).await;
    // Another process may be building the same; the lock goes with the connection.
    run(&mut postgres, "select pg_advisory_lock(20260101)").await;
    let found = format!("select count(*) from pg_database where datname = '{name}'");
    if value(&mut postgres, &found).await == "0" {
        let building = format!("{name}_building");
        run(
            &mut postgres,
            &format!("drop database if exists {building} with (force)"),
        )
        .await;
        run(&mut postgres, &format!("create database {building}")).await;
        let url = with_database(&cluster.url_of("postgres"), &building);
        Launch::command(["migrate", "--chat"])
            .database(&url)
            .succeed()
            .await;
        let mut built = connect(&url).await;
        run(&mut built, "select rowcast.detach('public.conversations')").await;
        built.close().await.expect("the connection closes");
        run(
            &mut postgres,
            &format!("alter database {building} with allow_connections false"),
        )
        .await;
        run(
            &mut postgres,
            &format!("alter database {building} rename to {name}"),
        )
        .await;
    }
    postgres.close().await.expect("the connection closes");
    name
}

/// The names and texts of all migrations, in order.
fn migrations() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = [root.clone(), root.join("chat")]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let mut bytes = file.to_string_lossy().into_owned().into_bytes();
            bytes.extend(fs::read(file).expect("a readable migration"));
            bytes
        })
        .collect()
}
