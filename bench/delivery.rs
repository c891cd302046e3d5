//! Delivery: rows inserted at a steady rate, clients that wait for them.
//!
//! Owns one measurement of one server: latency, processor time per delivery, memory per idle connection, and the
//! count of what never came, came twice or came to the wrong room. One clock serves all of it: writers and clients
//! are in this process.
//! Guarantees that the first seconds, in which caches fill and compilers compile, are counted for loss alone.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::client::{Crowd, Heard};
use crate::cluster::Cluster;
use crate::figures::Latency;
use crate::insert::{self, Written};
use crate::process;
use crate::server::{Contender, Programs, Server};
use crate::tally::Tally;

const WARM_UP_SECONDS: u32 = 2;
/// How long idle memory is left to settle before it is read.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the last deliveries may take; what has not come by then is lost.
const LAST_WITHIN: Duration = Duration::from_secs(10);

/// Who listens and how much is written.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) clients: u32,
    pub(crate) rooms: u32,
    /// Inserts a second.
    pub(crate) rate: u32,
}

/// What one measurement found.
pub(crate) struct Outcome {
    /// From just before the INSERT is sent to a client having the event, over all deliveries.
    pub(crate) from_insert: Latency,
    /// From the commit's acknowledgement; zero where the client was faster than that.
    pub(crate) from_commit: Latency,
    /// Processor time of the server per delivery, in microseconds.
    pub(crate) cpu_us: f64,
    /// Processor time of the whole Postgres cluster per insert, in microseconds.
    pub(crate) postgres_cpu_us: f64,
    /// Memory per idle connection, in kB of 1,000 bytes.
    pub(crate) rss_kb: f64,
    /// The same, shared pages counted in part.
    pub(crate) pss_kb: f64,
    /// Mean length of a frame.
    pub(crate) frame_bytes: f64,
    pub(crate) tally: Tally,
    pub(crate) cut_off: u64,
}

impl Shape {
    pub(crate) const STEADY: Self = Self {
        name: "steady",
        clients: 200,
        rooms: 20,
        rate: 200,
    };
    pub(crate) const FANOUT: Self = Self {
        name: "fan-out",
        clients: 1_000,
        rooms: 10,
        rate: 100,
    };
}

/// Measures one server, on a database of its own, from start to stop.
pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    contender: Contender,
    shape: &Shape,
    seconds: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(contender, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let server = programs.start(contender, &database).await?;

    // One client and one row first, so that what only the first costs is in neither memory figure.
    let first = Crowd::join(server.address, 1, 1).await?;
    insert::paced(&pool, 0..1, 1, 1).await?;
    first.received(1, LAST_WITHIN).await;
    if first
        .leave()
        .await
        .iter()
        .all(|heard| heard.deliveries.is_empty())
    {
        bail!("the first row did not arrive within {LAST_WITHIN:?}");
    }
    tokio::time::sleep(SETTLE).await;
    let empty = process::memory(server.pid)?;
    let crowd = Crowd::join(server.address, shape.clients, shape.rooms).await?;
    tokio::time::sleep(SETTLE).await;
    let full = process::memory(server.pid)?;

    let measured_from = WARM_UP_SECONDS * shape.rate;
    let rows = measured_from + seconds * shape.rate;
    let per_row = u64::from(shape.clients / shape.rooms);
    insert::paced(&pool, 0..measured_from, shape.rate, shape.rooms).await?;
    crowd
        .received(u64::from(measured_from) * per_row, LAST_WITHIN)
        .await;
    let before = CpuTimes::now(&server, cluster)?;
    let written = insert::paced(&pool, measured_from..rows, shape.rate, shape.rooms).await?;
    crowd.received(u64::from(rows) * per_row, LAST_WITHIN).await;
    let after = CpuTimes::now(&server, cluster)?;

    let heard = crowd.leave().await;
    server.stop().await?;
    pool.close().await;
    cluster.remove(database).await?;

    let mut outcome = Outcome::count(&heard, rows, shape);
    let (from_insert, from_commit) = latencies(&heard, &written, measured_from);
    let deliveries = from_insert.len() as f64;
    outcome.from_insert = Latency::of(from_insert);
    outcome.from_commit = Latency::of(from_commit);
    outcome.cpu_us = (after.server - before.server).as_secs_f64() * 1e6 / deliveries;
    outcome.postgres_cpu_us =
        (after.postgres - before.postgres).as_secs_f64() * 1e6 / written.len() as f64;
    let per_client =
        |empty: u64, full: u64| (full as f64 - empty as f64) / f64::from(shape.clients) / 1e3;
    outcome.rss_kb = per_client(empty.rss, full.rss);
    outcome.pss_kb = per_client(empty.pss, full.pss);
    Ok(outcome)
}

/// Processor time so far.
pub(crate) struct CpuTimes {
    pub(crate) server: Duration,
    pub(crate) postgres: Duration,
}

impl CpuTimes {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            server: self.server - before.server,
            postgres: self.postgres - before.postgres,
        }
    }

    pub(crate) fn now(server: &Server, cluster: &Cluster) -> Result<Self> {
        Ok(Self {
            server: process::cpu(server.pid)?,
            postgres: process::cpu_with_children(cluster.pid())?,
        })
    }
}

/// Of every delivery of a measured row: since its INSERT was sent, and since its commit was acknowledged.
pub(crate) fn latencies(
    heard: &[Heard],
    written: &[Written],
    measured_from: u32,
) -> (Vec<Duration>, Vec<Duration>) {
    heard
        .iter()
        .flat_map(|heard| &heard.deliveries)
        .filter_map(|delivery| {
            let written = written.get(delivery.row.checked_sub(measured_from)? as usize)?;
            Some((
                delivery.at.saturating_duration_since(written.sent),
                delivery.at.saturating_duration_since(written.committed),
            ))
        })
        .unzip()
}

impl Outcome {
    /// Holds what each client has heard against what it must have heard: every row of its room, once.
    fn count(heard: &[Heard], rows: u32, shape: &Shape) -> Self {
        let none = Latency::of(Vec::new());
        let mut outcome = Self {
            from_insert: none,
            from_commit: none,
            cpu_us: f64::NAN,
            postgres_cpu_us: f64::NAN,
            rss_kb: f64::NAN,
            pss_kb: f64::NAN,
            frame_bytes: f64::NAN,
            tally: Tally::default(),
            cut_off: 0,
        };
        let (mut bytes, mut frames) = (0, 0);
        for client in heard {
            outcome
                .tally
                .add(client.room, shape.rooms, rows, &client.deliveries);
            bytes += client.frame_bytes;
            frames += client.deliveries.len();
            if let Some(reason) = &client.cut_off {
                outcome.cut_off += 1;
                eprintln!("a client of room {} was cut off: {reason}", client.room);
            }
        }
        outcome.frame_bytes = bytes as f64 / frames as f64;
        outcome
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "insert to client {:.2}/{:.2} ms, commit to client {:.2}/{:.2} ms, {:.1} µs a delivery, Postgres {:.0} µs an \
             insert, {:.1} kB a connection (PSS {:.1}), {:.0} bytes a frame; {}, clients cut off {}",
            self.from_insert.p50_ms,
            self.from_insert.p99_ms,
            self.from_commit.p50_ms,
            self.from_commit.p99_ms,
            self.cpu_us,
            self.postgres_cpu_us,
            self.rss_kb,
            self.pss_kb,
            self.frame_bytes,
            self.tally,
            self.cut_off,
        )
    }
}
