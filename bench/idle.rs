//! Idle: what a connection takes that only waits.
//!
//! Owns the connections, each of which has joined a room, and one figure of the server's memory with them and without.
//! Guarantees that none was refused, and none was cut off when the memory was read.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use crate::client::Crowd;
use crate::cluster::Cluster;
use crate::figures::grouped;
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::table::Goal;

const ROOMS: u32 = 1_000;
/// How long memory is left to settle before it is read.
const SETTLE: Duration = Duration::from_secs(4);
/// Above the default limit, which is what the largest number is.
const VARIABLES: [(&str, &str); 1] = [("ROWCAST_MAX_CONNECTIONS", "30000")];

/// What one number of connections took.
pub(crate) struct Outcome {
    contender: Contender,
    connections: u32,
    rss_kb: f64,
    joining_cpu_us: f64,
    cut_off: u64,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    contender: Contender,
    connections: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(contender, &database).await?;
    let server = programs
        .start_at(contender, &database, 0, &VARIABLES)
        .await?;
    // What only the first connection costs is in neither figure.
    Crowd::join(server.address, 1, 1).await?.leave().await;
    tokio::time::sleep(SETTLE).await;
    let (empty, cpu) = (process::memory(server.pid)?, process::cpu(server.pid)?);
    let crowd = Crowd::join(server.address, connections, ROOMS).await?;
    let cpu = process::cpu(server.pid)? - cpu;
    tokio::time::sleep(SETTLE).await;
    let full = process::memory(server.pid)?;
    let heard = crowd.leave().await;
    server.stop().await?;
    cluster.remove(database).await?;
    let cut_off = heard.iter().filter(|client| client.cut_off.is_some());
    Ok(Outcome {
        contender,
        connections,
        rss_kb: full.rss.saturating_sub(empty.rss) as f64 / f64::from(connections) / 1e3,
        joining_cpu_us: cpu.as_secs_f64() * 1e6 / f64::from(connections),
        cut_off: cut_off.count() as u64,
    })
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let name = format!("{} idle connections", grouped(self.connections));
        let median = |what, value, decimals| {
            Figure::new(format!("{name}: {what}"), value, decimals, Combine::Median)
        };
        let figures = [
            median("memory each, kB", self.rss_kb, 1).goal(Goal::AtMost(12.0)),
            median("server CPU for each to join, µs", self.joining_cpu_us, 0),
            Figure::none(format!("{name}: clients cut off"), self.cut_off),
        ];
        figures
            .into_iter()
            .map(|figure| figure.of(self.contender))
            .collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} idle connections, {}: {:.1} kB each, {:.0} µs to join; cut off {}",
            grouped(self.connections),
            self.contender,
            self.rss_kb,
            self.joining_cpu_us,
            self.cut_off
        )
    }
}
