//! Rates: what a delivery costs the server as more is written into the same rooms.
//!
//! Owns one server on which the rates follow each other, from the lowest. Up to 200 transactions a second are written, each of as many
//! rows as the rate asks for, spread over the rooms.
//! Guarantees that the clients and their rooms are the same at all rates, so that nothing but the rate differs.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use crate::client::Crowd;
use crate::cluster::Cluster;
use crate::delivery::{CpuTimes, latencies};
use crate::figures::{Latency, grouped};
use crate::insert::{self, Written};
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::table::Goal;
use crate::tally::Tally;

const CLIENTS: u32 = 100;
const ROOMS: u32 = 10;
/// Transactions a second at most.
const TRANSACTIONS: u32 = 200;
/// Before each measurement, at its rate.
const WARM_UP_SECONDS: u32 = 2;
const LAST_WITHIN: Duration = Duration::from_secs(20);

struct Measured {
    rate: u32,
    cpu_us: f64,
    postgres_cpu_us: f64,
    from_insert: Latency,
}

/// All rates in turn, on one server.
pub(crate) struct Outcome {
    measured: Vec<Measured>,
    tally: Tally,
}

struct Part {
    rate: u32,
    written: Vec<Written>,
    cpu: CpuTimes,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    rates: &[u32],
    seconds: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let server = programs.start(Contender::Rowcast, &database).await?;
    let crowd = Crowd::join(server.address, CLIENTS, ROOMS).await?;
    let per_row = u64::from(CLIENTS / ROOMS);
    let (mut rows, mut parts) = (0, Vec::new());
    for &rate in rates {
        let at_once = rate.div_ceil(TRANSACTIONS).max(1);
        let from = rows + rate * WARM_UP_SECONDS;
        insert::paced_batches(&pool, rows..from, rate, at_once, ROOMS).await?;
        crowd.received(u64::from(from) * per_row, LAST_WITHIN).await;
        rows = from + rate * seconds;
        let before = CpuTimes::now(&server, cluster)?;
        let written = insert::paced_batches(&pool, from..rows, rate, at_once, ROOMS).await?;
        crowd.received(u64::from(rows) * per_row, LAST_WITHIN).await;
        let cpu = CpuTimes::now(&server, cluster)?.since(&before);
        parts.push(Part { rate, written, cpu });
    }
    let heard = crowd.leave().await;
    server.stop().await?;
    pool.close().await;
    cluster.remove(database).await?;

    let tally = Tally::of(&heard, ROOMS, rows);
    let measured = parts.into_iter().map(|part| {
        let written = part.written.len() as f64;
        let from = part.written.first().map_or(0, |first| first.row);
        Measured {
            rate: part.rate,
            cpu_us: part.cpu.server.as_secs_f64() * 1e6 / (written * per_row as f64),
            postgres_cpu_us: part.cpu.postgres.as_secs_f64() * 1e6 / written,
            from_insert: Latency::of(latencies(&heard, &part.written, from).0),
        }
    });
    Ok(Outcome {
        measured: measured.collect(),
        tally,
    })
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for part in &self.measured {
            let rate = grouped(part.rate);
            let mut figure = |what, value, decimals| {
                let what = format!("{rate} events a second: {what}");
                figures.push(Figure::new(what, value, decimals, Combine::Median));
            };
            figure("server CPU per delivery, µs", part.cpu_us, 2);
            figure("Postgres CPU per insert, µs", part.postgres_cpu_us, 0);
            figure("insert to client p50, ms", part.from_insert.p50_ms, 2);
            figure("insert to client p99, ms", part.from_insert.p99_ms, 2);
        }
        if let [first, .., last] = &self.measured[..] {
            let what = format!(
                "server CPU per delivery at {} a second, of that at {}",
                grouped(last.rate),
                grouped(first.rate)
            );
            let part = last.cpu_us / first.cpu_us;
            figures.push(Figure::new(what, part, 2, Combine::Median).goal(Goal::AtMost(0.5)));
        }
        figures.extend(self.tally.figures("events a second"));
        figures
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.measured {
            write!(
                f,
                "{} a second: {:.2} µs a delivery, Postgres {:.0} µs an insert, {}; ",
                grouped(part.rate),
                part.cpu_us,
                part.postgres_cpu_us,
                part.from_insert
            )?;
        }
        write!(f, "{}", self.tally)
    }
}
