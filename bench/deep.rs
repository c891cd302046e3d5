//! Deep: one client comes back to a room in which it missed a million events.
//!
//! Owns the absence, the return, and the server's memory meanwhile. The other rooms and readiness are watched from a thread of its own
//! (`witness.rs`).
//! Guarantees that the first and the last tenth of the replay are timed apart: where the time per event grows with what is left, or
//! with what was sent, their ratio says so.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::{sleep, timeout};

use crate::client::{Crowd, Delivery};
use crate::cluster::Cluster;
use crate::delivery::CpuTimes;
use crate::figures::{Latency, grouped};
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::session::Session;
use crate::table::Goal;
use crate::tally::Tally;
use crate::witness::Witness;

/// What the server may take for it at the most, however many rows there are.
const MEMORY_MB: f64 = 100.0;
/// How long the other rooms are watched by themselves.
const ALONE: Duration = Duration::from_secs(4);
const WITHIN: Duration = Duration::from_secs(300);
/// In which what comes twice would come.
const QUIET: Duration = Duration::from_millis(500);

/// What one return found.
pub(crate) struct Outcome {
    missed: u32,
    seconds: f64,
    /// Time of the last tenth, of that of the first.
    last_tenth: f64,
    cpu_us: f64,
    postgres_cpu_us: f64,
    memory_mb: f64,
    alone: Latency,
    beside: Latency,
    unready: u64,
    anew: u64,
    tally: Tally,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    missed: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let server = programs.start(Contender::Rowcast, &database).await?;
    let mut sessions = Session::crowd(server.address, 1, 1, None).await?;
    let stays = Crowd::join(server.address, 1, 1).await?;
    let Some((mut session, socket)) = sessions.pop() else {
        anyhow::bail!("nobody joined");
    };
    drop(socket);
    database.fill(missed).await?;
    stays.received(missed.into(), WITHIN).await;
    stays.leave().await;

    let witness = Witness::start(server.address, &database).await?;
    let alone = Instant::now();
    sleep(ALONE).await;
    let before = process::memory(server.pid)?.rss;
    process::reset_peak(server.pid)?;
    let cpu = CpuTimes::now(&server, cluster)?;
    let begin = Instant::now();
    let mut socket = session.come_back(server.address).await;
    let _all = timeout(WITHIN, session.listen(&mut socket, missed as usize)).await;
    let over = Instant::now();
    let cpu = CpuTimes::now(&server, cluster)?.since(&cpu);
    let peak = process::peak(server.pid)?;
    let _quiet = timeout(QUIET, session.listen(&mut socket, usize::MAX)).await;
    let saw = witness.stop().await?;
    server.stop().await?;
    cluster.remove(database).await?;

    let mut tally = saw.tally();
    tally.add(0, 1, missed, &session.deliveries);
    Ok(Outcome {
        missed,
        seconds: (over - begin).as_secs_f64(),
        last_tenth: last_tenth(begin, &session.deliveries),
        cpu_us: cpu.server.as_secs_f64() * 1e6 / f64::from(missed),
        postgres_cpu_us: cpu.postgres.as_secs_f64() * 1e6 / f64::from(missed),
        memory_mb: peak.saturating_sub(before) as f64 / 1e6,
        alone: saw.latency(alone, begin),
        beside: saw.latency(begin, over),
        unready: saw.readiness(begin, over).0,
        anew: session.anew.into(),
        tally,
    })
}

fn last_tenth(begin: Instant, deliveries: &[Delivery]) -> f64 {
    let tenth = deliveries.len() / 10;
    let at = |place: usize| deliveries.get(place).map_or(begin, |delivery| delivery.at);
    let last = at(deliveries.len().saturating_sub(1)) - at(deliveries.len() - tenth.max(1));
    last.as_secs_f64() / (at(tenth) - begin).as_secs_f64()
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let name = format!("replay of {} to one", grouped(self.missed));
        let median = |what, value, decimals| {
            Figure::new(format!("{name}: {what}"), value, decimals, Combine::Median)
        };
        let mut figures = vec![
            median("s to the last", self.seconds, 2),
            median("events a second", f64::from(self.missed) / self.seconds, 0),
            median("time of the last tenth, of the first's", self.last_tenth, 2)
                .goal(Goal::AtMost(1.5)),
            median("server CPU per event, µs", self.cpu_us, 1),
            median("Postgres CPU per event, µs", self.postgres_cpu_us, 1),
            median(
                "memory at the peak, more than before, MB",
                self.memory_mb,
                0,
            )
            .bound(MEMORY_MB),
            median("other rooms before, p99, ms", self.alone.p99_ms, 2),
            median("other rooms meanwhile, p50, ms", self.beside.p50_ms, 2),
            median("other rooms meanwhile, p99, ms", self.beside.p99_ms, 2),
            Figure::new(
                format!("{name}: found unready"),
                self.unready as f64,
                0,
                Combine::Sum,
            )
            .goal(Goal::AtMost(0.0)),
            Figure::none(format!("{name}: clients that had to begin anew"), self.anew),
        ];
        figures.extend(self.tally.figures(&name));
        figures
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "replay of {} to one: {:.2} s, last tenth {:.2} of the first, server {:.1} µs and Postgres {:.1} µs an event, \
             {:.0} MB more; other rooms before {}, meanwhile {}; unready {}, anew {}; {}",
            grouped(self.missed),
            self.seconds,
            self.last_tenth,
            self.cpu_us,
            self.postgres_cpu_us,
            self.memory_mb,
            self.alone,
            self.beside,
            self.unready,
            self.anew,
            self.tally
        )
    }
}
