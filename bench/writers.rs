//! Writers: what a back end pays for having its inserts captured.
//!
//! Owns the runs of `pgbench`: as many single-row inserts as 1, 8 and 32 connections get through, on one table, without a
//! trigger, with a second insert by hand into a bare outbox, with Rowcast's capture and a running Rowcast, and with the peer's NOTIFY
//! and a running peer.
//! Guarantees that they take turns, each on a fresh database, and that somebody listens: one client sits in one
//! room of a thousand, and what it misses is counted.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

use crate::client::Crowd;
use crate::cluster::{Cluster, Flush};
use crate::database::Database;
use crate::insert;
use crate::process;
use crate::server::{Contender, Programs, WITHOUT_CAPTURE};

/// The client's room is the first of these.
const ROOMS: u32 = 1_000;
/// How long the watching client may need for what was left when the writers stopped.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(15);

/// What a writer does.
pub(crate) const INSERT: &str =
    "insert into messages (contact_id, author, body) values ((:room)::text, 'Ana', :body)";
/// A table in which a back end without triggers would keep its events: as bare as can be read in order.
const BARE_OUTBOX: &str = "create table outbox (id bigint generated always as identity primary key, \
    room text not null, event text not null, data json not null)";
/// What such a back end adds to the same message to the server, and so to the same transaction: as long as what capture writes.
const BY_HAND: &str = "insert into outbox (room, event, data) values ('conversation:' || :room, 'message:new', :data)";

/// What sits on the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Untriggered,
    ByHand,
    Captured(Contender),
}

impl Variant {
    pub(crate) const ALL: [Self; 4] = [
        Self::Untriggered,
        Self::ByHand,
        Self::Captured(Contender::Rowcast),
        Self::Captured(Contender::Node),
    ];
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untriggered => f.write_str("untriggered"),
            Self::ByHand => f.write_str("a second insert by hand"),
            Self::Captured(contender) => contender.fmt(f),
        }
    }
}

/// What one run came to.
pub(crate) struct Throughput {
    /// Committed inserts a second.
    pub(crate) per_second: f64,
    /// Mean time of one insert, commit included.
    pub(crate) mean_ms: f64,
    /// Processor time of the cluster for each insert, in microseconds.
    pub(crate) postgres_cpu_us: f64,
    /// Rows of the watched room that its client did not get.
    pub(crate) lost: u64,
}

/// One run, and what was measured in it.
pub(crate) struct WriterRun {
    pub(crate) writers: u32,
    pub(crate) flush: Flush,
    pub(crate) variant: Variant,
    pub(crate) throughput: Throughput,
}

/// All runs on one cluster.
pub(crate) struct Runs<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) flush: Flush,
    pub(crate) programs: &'a Programs,
    pub(crate) pgbench: &'a Pgbench,
    pub(crate) only: Option<Contender>,
}

impl Runs<'_> {
    pub(crate) async fn measure(
        &self,
        rounds: u32,
        writers: &[u32],
        seconds: u32,
    ) -> Result<Vec<WriterRun>> {
        let mut runs = Vec::new();
        for round in 0..rounds {
            for &writers in writers {
                let mut turn = Variant::ALL;
                turn.rotate_left(round as usize % Variant::ALL.len());
                for variant in turn.into_iter().filter(|variant| self.wants(*variant)) {
                    let throughput = self.run(variant, writers, seconds).await;
                    let throughput =
                        throughput.with_context(|| format!("{writers} writers, {variant}"))?;
                    eprintln!(
                        "{writers} writers{} round {} {variant}: {:.0} a second, mean {:.2} ms, Postgres {:.0} µs an insert, lost {}",
                        self.flush,
                        round + 1,
                        throughput.per_second,
                        throughput.mean_ms,
                        throughput.postgres_cpu_us,
                        throughput.lost
                    );
                    runs.push(WriterRun {
                        writers,
                        flush: self.flush,
                        variant,
                        throughput,
                    });
                }
            }
        }
        Ok(runs)
    }

    fn wants(&self, variant: Variant) -> bool {
        match (variant, self.only) {
            (Variant::Captured(contender), Some(only)) => contender == only,
            (Variant::Untriggered | Variant::ByHand, _) | (_, None) => true,
        }
    }

    async fn run(&self, variant: Variant, writers: u32, seconds: u32) -> Result<Throughput> {
        let database = self.cluster.create().await?;
        let contender = match variant {
            Variant::Captured(contender) => Some(contender),
            Variant::Untriggered | Variant::ByHand => None,
        };
        let mut statements = INSERT.to_owned();
        if let Some(contender) = contender {
            self.programs.prepare(contender, &database).await?;
        } else {
            self.programs.migrate(&database).await?;
            database.execute(WITHOUT_CAPTURE).await?;
        }
        if variant == Variant::ByHand {
            database.execute(BARE_OUTBOX).await?;
            // pgbench sends what this joins as one message, which Postgres takes as one transaction.
            statements = format!("{INSERT} \\; {BY_HAND}");
        }
        let watched = match contender {
            None => None,
            Some(contender) => {
                let server = self.programs.start(contender, &database).await?;
                let watching = Crowd::join(server.address, 1, 1).await?;
                Some((server, watching))
            }
        };
        let postgres = process::cpu_with_children(self.cluster.pid())?;
        let mut run = self
            .pgbench
            .run(
                self.cluster,
                self.programs,
                &database,
                &statements,
                writers,
                seconds,
            )
            .await?;
        let postgres = process::cpu_with_children(self.cluster.pid())? - postgres;
        run.postgres_cpu_us = postgres.as_secs_f64() * 1e6 / (run.per_second * f64::from(seconds));
        if let Some((server, watching)) = watched {
            let expected = database
                .count("select count(*) from messages where contact_id = '0'")
                .await?;
            watching.received(expected, CAUGHT_UP_WITHIN).await;
            let heard = watching.leave().await;
            let received = heard.iter().map(|heard| heard.deliveries.len() as u64);
            let received = received.sum::<u64>();
            server.stop().await?;
            ensure!(
                received <= expected,
                "{received} deliveries of {expected} rows"
            );
            run.lost = expected - received;
        }
        self.cluster.remove(database).await?;
        Ok(run)
    }
}

/// `pgbench`, where it was installed with the server.
pub(crate) struct Pgbench(pub(crate) PathBuf);

impl Pgbench {
    /// As many of these statements as that many writers get through, each in a room of a thousand.
    pub(crate) async fn run(
        &self,
        cluster: &Cluster,
        programs: &Programs,
        database: &Database,
        statements: &str,
        writers: u32,
        seconds: u32,
    ) -> Result<Throughput> {
        let body = insert::body(0);
        let data = format!(
            r#"'{{"message": {{"id": "11111111-1111-4111-8111-111111111111", "contactId": "' || :room || '", "direction": "inbound", "author": "Ana", "body": "{body}", "status": "sent", "externalId": null, "metadata": {{}}, "createdAt": "2026-01-01T00:00:00.000000Z", "updatedAt": "2026-01-01T00:00:00.000000Z"}}, "contactId": "' || :room || '"}}'"#
        );
        let statements = statements
            .replace(":body", &format!("'{body}'"))
            .replace(":data", &format!("({data})::json"));
        let script = format!("\\set room random(0, {})\n{statements};\n", ROOMS - 1);
        let mut command = cluster.client(&self.0, database);
        let path = programs.write("insert.pgbench", &script)?;
        command.args([
            "-n",
            "-c",
            &writers.to_string(),
            "-j",
            &writers.min(2).to_string(),
        ]);
        command
            .args(["-T", &seconds.to_string(), "-f"])
            .arg(path)
            .kill_on_drop(true);
        let limit = Duration::from_secs(u64::from(seconds) + 30);
        let output = timeout(limit, command.output())
            .await
            .context("pgbench takes too long")??;
        let (out, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(output.status.success(), "pgbench failed: {}", errors.trim());
        let figure = |start: &str| {
            out.lines()
                .find_map(|line| {
                    line.strip_prefix(start)?
                        .split_whitespace()
                        .next()?
                        .parse::<f64>()
                        .ok()
                })
                .with_context(|| format!("pgbench printed no {start:?}"))
        };
        Ok(Throughput {
            per_second: figure("tps = ")?,
            mean_ms: figure("latency average = ")?,
            postgres_cpu_us: f64::NAN,
            lost: 0,
        })
    }
}
