//! Postgres has no disk, no connection or no room for a notification left: told, recovered from, nothing lost.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use sqlx::{Connection as _, PgConnection};

use crate::harness::database::run;
use crate::harness::wait::{until, until_for};
use crate::harness::{Kind, Postgres, Scratch, Trial};

/// The end of a disk.
enum Disk {
    /// A small one, with a file that fills it up.
    Small(PathBuf),
    /// Where nothing can be mounted: no file of Postgres's may grow any more.
    Limited,
}

impl Disk {
    fn fill(&self, postgres: &Postgres) {
        match self {
            Self::Small(ballast) => {
                let mut file = File::create(ballast).expect("a file can be made");
                let piece = vec![0_u8; 64 * 1024];
                while file.write_all(&piece).is_ok() {}
            }
            Self::Limited => limit(&postgres.family(), Some(64 * 1024)),
        }
    }

    fn free(&self, postgres: &Postgres) {
        match self {
            Self::Small(ballast) => fs::remove_file(ballast).expect("it is there"),
            Self::Limited => limit(&postgres.family(), None),
        }
    }
}

fn limit(processes: &[Pid], bytes: Option<u64>) {
    let limit = || Rlimit {
        current: bytes,
        maximum: None,
    };
    for pid in processes {
        let _it_may_have_ended = prlimit(Some(*pid), Resource::Fsize, limit());
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let (folder, small) = match Scratch::disk(160) {
        Some(folder) => (folder, true),
        None => (Scratch::folder(), false),
    };
    let settings = ["min_wal_size=32MB", "max_wal_size=48MB"];
    let mut postgres = Postgres::start_in(folder, &settings).await;
    let disk = if small {
        Disk::Small(postgres.folder().join("ballast"))
    } else {
        Disk::Limited
    };
    let trial = Trial::on(postgres.chat().await, &[], &Kind::ALL).await;
    for _ in 0..2 {
        let failed = trial.ledger.failed();
        let told = trial.server.lines().len();
        disk.fill(&postgres);
        until_for(Duration::from_secs(60), "the disk to be full", async || {
            // Rows may still fit into files that are there; the log has to grow, which ends Postgres.
            let log = "select pg_logical_emit_message(false, '', repeat('x', 1000000))";
            while sqlx::query(log).execute(&trial.database.pool).await.is_ok() {}
            (trial.ledger.failed() >= failed + 5).then_some(())
        })
        .await;
        // Nothing can be remembered now, so nothing may be promised.
        for witness in &trial.witnesses {
            witness.rejoin("a");
        }
        until_for(Duration::from_secs(30), "a word about it", async || {
            let unready = trial.server.get("/readyz").await.status == 503;
            let lines = trial.server.lines();
            let warned = lines[told..]
                .iter()
                .any(|line| line.contains("WARN") || line.contains("ERROR"));
            (unready || warned).then_some(())
        })
        .await;
        disk.free(&postgres);
        if !postgres.runs() {
            // It could not even recover: its owner starts it again.
            postgres.up().await;
        }
        for witness in &trial.witnesses {
            witness.settled().await;
        }
        trial.flows().await;
    }
    trial.server.readiness(200).await;
    trial.complete().await;
}

#[tokio::test]
async fn no_connection_left_loses_nothing() {
    let settings = ["max_connections=30"];
    let postgres = Postgres::start_in(Scratch::folder(), &settings).await;
    let trial = Trial::on(postgres.chat().await, &[], &Kind::ALL).await;
    // Somebody else takes every connection that we lose.
    let mut hog = Vec::new();
    let ours = "select count(*) from pg_stat_activity where application_name like 'rowcast%'";
    let mut watch = trial.database.pool.acquire().await.expect("a connection");
    // Several servers are quick to take some again.
    until_for(Duration::from_secs(90), "the last connection to be taken", async || {
        run(&mut *watch, "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowcast%'").await;
        while let Ok(connection) = PgConnection::connect(&postgres.url()).await {
            hog.push(connection);
        }
        (crate::harness::database::value(&mut *watch, ours).await == "0").then_some(())
    })
    .await;
    trial.server.readiness(503).await;
    trial.ledger.more(100).await;
    trial.cut().await;
    trial.ledger.more(30).await;
    drop(hog);
    trial.back().await;
    until("readiness", async || {
        (trial.server.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    trial.flows().await;
    drop(watch);
    trial.complete().await;
}

#[tokio::test]
async fn a_stuffed_notify_queue_loses_nothing() {
    let (_postgres, database) = Postgres::with_chat().await;
    let trial = Trial::on(database, &[], &Kind::ALL).await;
    // The queue can't be emptied past a listener that sits in a transaction.
    let mut sleeper = trial.database.connection().await;
    run(&mut sleeper, "listen stuffing").await;
    run(&mut sleeper, "begin; select 1").await;
    for _ in 0..4 {
        trial.database.run("select pg_notify('stuffing', n || repeat('x', 7900)) from generate_series(1, 4000) n").await;
        trial.flows().await;
    }
    let usage = trial
        .database
        .value("select (pg_notification_queue_usage() > 0.005)::text")
        .await;
    assert_eq!(usage, "true", "it is stuffed");
    // Figures are read rarely, and first by a server that starts.
    let second = trial.another().await;
    let usage = "rowcast_notify_queue_usage_ratio";
    second.counted(usage, &[], 0.005).await;
    trial.terminate_backends().await;
    trial.flows().await;
    trial.cut().await;
    trial.back().await;
    drop(sleeper);
    trial.flows().await;
    trial.complete().await;
}
