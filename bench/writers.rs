//! Writers: what a back end pays for having its inserts captured.
//!
//! Owns the runs of `pgbench`: as many single-row inserts as 1, 8 and 32 connections get through, on one table, without a
//! trigger, with Rowcast's capture and a running Rowcast, and with the peer's NOTIFY and a running peer.
//! Guarantees that the three take turns, each on a fresh database, and that somebody listens: one client sits in one
//! room of a thousand, and what it misses is counted.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

use crate::client::Crowd;
use crate::cluster::Cluster;
use crate::database::Database;
use crate::insert;
use crate::server::{Contender, Programs, WITHOUT_CAPTURE};

/// The client's room is the first of these.
const ROOMS: u32 = 1_000;
/// How long the watching client may need for what was left when the writers stopped.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(15);

/// What sits on the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Untriggered,
    Captured(Contender),
}

impl Variant {
    pub(crate) const ALL: [Self; 3] = [
        Self::Untriggered,
        Self::Captured(Contender::Rowcast),
        Self::Captured(Contender::Node),
    ];
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untriggered => f.write_str("untriggered"),
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
    /// Rows of the watched room that its client did not get.
    pub(crate) lost: u64,
}

/// One run, and what was measured in it.
pub(crate) struct WriterRun {
    pub(crate) writers: u32,
    pub(crate) variant: Variant,
    pub(crate) throughput: Throughput,
}

/// All runs.
pub(crate) struct Runs<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) programs: &'a Programs,
    pub(crate) pgbench: PathBuf,
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
                        "{writers} writers round {} {variant}: {:.0} a second, mean {:.2} ms, lost {}",
                        round + 1,
                        throughput.per_second,
                        throughput.mean_ms,
                        throughput.lost
                    );
                    runs.push(WriterRun {
                        writers,
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
            (Variant::Untriggered, _) | (_, None) => true,
        }
    }

    async fn run(&self, variant: Variant, writers: u32, seconds: u32) -> Result<Throughput> {
        let database = self.cluster.create().await?;
        let Variant::Captured(contender) = variant else {
            self.programs.migrate(&database).await?;
            database.execute(WITHOUT_CAPTURE).await?;
            let (per_second, mean_ms) = self.pgbench(&database, writers, seconds).await?;
            self.cluster.remove(database).await?;
            return Ok(Throughput {
                per_second,
                mean_ms,
                lost: 0,
            });
        };
        self.programs.prepare(contender, &database).await?;
        let server = self.programs.start(contender, &database).await?;
        let watching = Crowd::join(server.address, 1, 1).await?;
        let (per_second, mean_ms) = self.pgbench(&database, writers, seconds).await?;
        let expected = database
            .count("select count(*) from messages where contact_id = '0'")
            .await?;
        watching.received(expected, CAUGHT_UP_WITHIN).await;
        let received = watching
            .leave()
            .await
            .iter()
            .map(|heard| heard.deliveries.len() as u64)
            .sum::<u64>();
        server.stop().await?;
        self.cluster.remove(database).await?;
        ensure!(
            received <= expected,
            "{received} deliveries of {expected} rows"
        );
        Ok(Throughput {
            per_second,
            mean_ms,
            lost: expected - received,
        })
    }

    async fn pgbench(&self, database: &Database, writers: u32, seconds: u32) -> Result<(f64, f64)> {
        let script = format!(
            "\\set room random(0, {})\ninsert into messages (contact_id, author, body) values ((:room)::text, 'Ana', '{}');\n",
            ROOMS - 1,
            insert::body(0),
        );
        let mut command = self.cluster.client(&self.pgbench, database);
        let path = self.programs.write("insert.pgbench", &script)?;
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
        Ok((figure("tps = ")?, figure("latency average = ")?))
    }
}
