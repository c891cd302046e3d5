//! Bulk: half a million rows committed at once into one room, and what everybody else feels.
//!
//! Owns the commit, two clients in that room, and the server's memory until they have it all. The other rooms and readiness are watched
//! from a thread of its own (`witness.rs`).
//! Guarantees that the time of the statement itself, which the writer's backend takes, is told apart from that after the commit.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use crate::client::Crowd;
use crate::cluster::Cluster;
use crate::figures::{Latency, grouped};
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::table::Goal;
use crate::tally::Tally;
use crate::witness::Witness;

const CLIENTS: u32 = 2;
/// What the server may take for it at the most, however many rows there are.
const MEMORY_MB: f64 = 100.0;
/// How long the other rooms are watched by themselves.
const ALONE: Duration = Duration::from_secs(4);
const WITHIN: Duration = Duration::from_secs(240);

/// What one such commit did.
pub(crate) struct Outcome {
    rows: u32,
    statement_s: f64,
    /// From the commit to the last event at the last client of the room.
    delivered_s: f64,
    alone: Latency,
    writing: Latency,
    after: Latency,
    unready: u64,
    slowest_answer_ms: f64,
    /// Peak of the server's resident memory, less that before, in MB.
    memory_mb: f64,
    cut_off: u64,
    tally: Tally,
}

pub(crate) async fn measure(cluster: &Cluster, programs: &Programs, rows: u32) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let server = programs.start(Contender::Rowcast, &database).await?;
    let crowd = Crowd::join(server.address, CLIENTS, 1).await?;
    let witness = Witness::start(server.address, &database).await?;
    let alone = Instant::now();
    sleep(ALONE).await;

    let before = process::memory(server.pid)?.rss;
    process::reset_peak(server.pid)?;
    let writing = Instant::now();
    database.fill_at_once(rows).await?;
    let committed = Instant::now();
    crowd
        .received(u64::from(rows) * u64::from(CLIENTS), WITHIN)
        .await;
    let over = Instant::now();
    let peak = process::peak(server.pid)?;
    let saw = witness.stop().await?;
    let heard = crowd.leave().await;
    server.stop().await?;
    cluster.remove(database).await?;

    let mut tally = saw.tally();
    for client in &heard {
        tally.add(0, 1, rows, &client.deliveries);
    }
    let deliveries = heard.iter().flat_map(|heard| &heard.deliveries);
    let last = deliveries.map(|delivery| delivery.at).max();
    let (unready, slowest_answer_ms) = saw.readiness(writing, over);
    let cut_off = heard.iter().filter(|client| client.cut_off.is_some());
    Ok(Outcome {
        rows,
        statement_s: (committed - writing).as_secs_f64(),
        delivered_s: last.map_or(f64::NAN, |last| {
            last.saturating_duration_since(committed).as_secs_f64()
        }),
        alone: saw.latency(alone, writing),
        writing: saw.latency(writing, committed),
        after: saw.latency(committed, over),
        unready,
        slowest_answer_ms,
        memory_mb: peak.saturating_sub(before) as f64 / 1e6,
        cut_off: cut_off.count() as u64 + saw.cut_off(),
        tally,
    })
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let name = format!("{} rows in one commit", grouped(self.rows));
        let median = |what, value, decimals| {
            Figure::new(format!("{name}: {what}"), value, decimals, Combine::Median)
        };
        let mut figures = vec![
            median("the statement, s", self.statement_s, 1),
            median(
                "delivered to their room, s after the commit",
                self.delivered_s,
                1,
            ),
            median("other rooms before, p99, ms", self.alone.p99_ms, 2),
            median(
                "other rooms during the statement, p99, ms",
                self.writing.p99_ms,
                2,
            ),
            median("other rooms after it, p99, ms", self.after.p99_ms, 2),
            median("other rooms after it, slowest, ms", self.after.max_ms, 1)
                .goal(Goal::AtMost(1000.0)),
            median("slowest answer of /readyz, ms", self.slowest_answer_ms, 1),
            median(
                "memory at the peak, more than before, MB",
                self.memory_mb,
                0,
            )
            .bound(MEMORY_MB),
            Figure::new(
                format!("{name}: found unready"),
                self.unready as f64,
                0,
                Combine::Sum,
            )
            .goal(Goal::AtMost(0.0)),
        ];
        figures.extend(self.tally.figures(&name));
        figures.push(Figure::none(
            format!("{name}: clients cut off"),
            self.cut_off,
        ));
        figures
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows at once: statement {:.1} s, delivered {:.1} s after; other rooms before {}, during {}, after {}; \
             unready {}, slowest answer {:.0} ms; {:.0} MB more; {}, cut off {}",
            grouped(self.rows),
            self.statement_s,
            self.delivered_s,
            self.alone,
            self.writing,
            self.after,
            self.unready,
            self.slowest_answer_ms,
            self.memory_mb,
            self.tally,
            self.cut_off
        )
    }
}
