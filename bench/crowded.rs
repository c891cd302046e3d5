//! Crowded: thousands of sockets in one room, and what other rooms feel while it is written to.
//!
//! Owns two measurements on one server: the other rooms by themselves, then beside the crowded one.
//! Guarantees that an event counts as delivered when the last socket has it. That moment holds what the generator takes for as many
//! frames on the same processors; the other rooms are watched from a thread of its own (`witness.rs`).

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use crate::client::{Crowd, Heard};
use crate::cluster::Cluster;
use crate::delivery::CpuTimes;
use crate::figures::{Latency, grouped};
use crate::insert::{self, Written};
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::tally::Tally;
use crate::witness::Witness;

/// Events a second into the crowded room.
const RATE: u32 = 2;
/// How long the other rooms are watched by themselves.
const ALONE: Duration = Duration::from_secs(4);
const LAST_WITHIN: Duration = Duration::from_secs(20);

/// What one measurement found.
pub(crate) struct Outcome {
    sockets: u32,
    /// Insert to the last socket that gets it, over the events; and to the first.
    last: Latency,
    first: Latency,
    alone: Latency,
    beside: Latency,
    cpu_us: f64,
    cut_off: u64,
    tally: Tally,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    sockets: u32,
    seconds: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let server = programs.start(Contender::Rowcast, &database).await?;
    let crowd = Crowd::join(server.address, sockets, 1).await?;
    let witness = Witness::start(server.address, &database).await?;
    // The first row warms what the first costs alone.
    insert::paced(&pool, 0..1, 1, 1).await?;
    crowd.received(sockets.into(), LAST_WITHIN).await;
    let alone = Instant::now();
    sleep(ALONE).await;

    let rows = 1 + seconds * RATE;
    let (beside, cpu) = (Instant::now(), CpuTimes::now(&server, cluster)?);
    let written = insert::paced(&pool, 1..rows, RATE, 1).await?;
    let deliveries = u64::from(rows) * u64::from(sockets);
    crowd.received(deliveries, LAST_WITHIN).await;
    let cpu = CpuTimes::now(&server, cluster)?.since(&cpu);
    let over = Instant::now();
    let saw = witness.stop().await?;
    let heard = crowd.leave().await;
    server.stop().await?;
    pool.close().await;
    cluster.remove(database).await?;

    let (first, last) = ends(&heard, &written);
    let mut tally = saw.tally();
    for client in &heard {
        tally.add(0, 1, rows, &client.deliveries);
    }
    let cut_off = heard.iter().filter(|client| client.cut_off.is_some());
    Ok(Outcome {
        sockets,
        last,
        first,
        alone: saw.latency(alone, beside),
        beside: saw.latency(beside, over),
        cpu_us: cpu.server.as_secs_f64() * 1e6 / (written.len() as f64 * f64::from(sockets)),
        cut_off: cut_off.count() as u64 + saw.cut_off(),
        tally,
    })
}

/// Of each row: from its INSERT to the first socket that has it, and to the last.
fn ends(heard: &[Heard], written: &[Written]) -> (Latency, Latency) {
    let mut ends = HashMap::<u32, (Instant, Instant)>::new();
    for delivery in heard.iter().flat_map(|heard| &heard.deliveries) {
        let (first, last) = ends
            .entry(delivery.row)
            .or_insert((delivery.at, delivery.at));
        *first = delivery.at.min(*first);
        *last = delivery.at.max(*last);
    }
    let of = |end: fn(&(Instant, Instant)) -> Instant| {
        let samples = written.iter().filter_map(|written| {
            let end = end(ends.get(&written.row)?);
            Some(end.saturating_duration_since(written.sent))
        });
        Latency::of(samples.collect())
    };
    (of(|ends| ends.0), of(|ends| ends.1))
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let name = format!("{} sockets in one room", grouped(self.sockets));
        let median = |what, value, decimals| {
            Figure::new(format!("{name}: {what}"), value, decimals, Combine::Median)
        };
        let mut figures = vec![
            median("insert to the first, p50, ms", self.first.p50_ms, 2),
            median("insert to the last, p50, ms", self.last.p50_ms, 1),
            median("insert to the last, slowest, ms", self.last.max_ms, 1),
            median("server CPU per delivery, µs", self.cpu_us, 2),
            median("other rooms before, p99, ms", self.alone.p99_ms, 2),
            median("other rooms meanwhile, p50, ms", self.beside.p50_ms, 2),
            median("other rooms meanwhile, p99, ms", self.beside.p99_ms, 2),
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
            "{} in one room: first {}, last {}, {:.2} µs a delivery; other rooms before {}, meanwhile {}; {}, cut off {}",
            grouped(self.sockets),
            self.first,
            self.last,
            self.cpu_us,
            self.alone,
            self.beside,
            self.tally,
            self.cut_off
        )
    }
}
