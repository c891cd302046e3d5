//! Servers: what writers and clients pay for 1, 2, 4 and 8 of them on one database.
//!
//! Owns the runs of `pgbench` with 32 writers, and beside each a quiet one, in which the time from insert to client is measured on clients
//! of all the servers.
//! Guarantees that the numbers take turns within a round, each on a fresh database, so that they can be held against that of one server.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::client::Crowd;
use crate::cluster::Cluster;
use crate::delivery::latencies;
use crate::figures::Latency;
use crate::insert;
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs, Server};
use crate::table::Goal;
use crate::tally::Tally;
use crate::writers::{self, Pgbench};

const WRITERS: u32 = 32;
/// Clients of each server while the time to them is measured, and their rooms.
const CLIENTS: u32 = 20;
const ROOMS: u32 = 10;
/// Inserts a second meanwhile.
const RATE: u32 = 100;
const SECONDS: u32 = 5;
/// Rows of the room that is watched.
const WATCHED: &str = "select count(*) from messages where contact_id = '0'";
const LAST_WITHIN: Duration = Duration::from_secs(15);

/// What one number of servers came to.
pub(crate) struct Outcome {
    servers: u32,
    per_second: f64,
    mean_ms: f64,
    /// Processor time of the cluster, and of all servers together, in microseconds for each insert of the writers.
    postgres_cpu_us: f64,
    servers_cpu_us: f64,
    /// Of the cluster in the quiet run.
    quiet_postgres_cpu_us: f64,
    quiet: Latency,
    tally: Tally,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    pgbench: &Pgbench,
    servers: u32,
    seconds: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let running = programs
        .start_many(Contender::Rowcast, &database, servers)
        .await?;

    let mut crowds = Vec::new();
    for server in &running {
        crowds.push(Crowd::join(server.address, CLIENTS, ROOMS).await?);
    }
    let warm = RATE;
    let rows = warm + SECONDS * RATE;
    insert::paced(&pool, 0..warm, RATE, ROOMS).await?;
    let before = process::cpu_with_children(cluster.pid())?;
    let written = insert::paced(&pool, warm..rows, RATE, ROOMS).await?;
    let (mut heard, mut tally) = (Vec::new(), Tally::default());
    for crowd in crowds {
        let expected = u64::from(rows) * u64::from(CLIENTS / ROOMS);
        crowd.received(expected, LAST_WITHIN).await;
        heard.extend(crowd.leave().await);
    }
    let quiet_cpu = process::cpu_with_children(cluster.pid())? - before;
    for client in &heard {
        tally.add(client.room, ROOMS, rows, &client.deliveries);
    }
    let before = database.count(WATCHED).await?;

    // One client of each server sits in one room of what the writers write.
    let mut watching = Vec::new();
    for server in &running {
        watching.push(Crowd::join(server.address, 1, 1).await?);
    }
    let (postgres, ours) = (process::cpu_with_children(cluster.pid())?, cpu(&running)?);
    let run = pgbench
        .run(
            cluster,
            programs,
            &database,
            writers::INSERT,
            WRITERS,
            seconds,
        )
        .await
        .with_context(|| format!("{WRITERS} writers, {servers} servers"))?;
    let expected = database.count(WATCHED).await? - before;
    for watching in watching {
        watching.received(expected, LAST_WITHIN).await;
        let heard = watching.leave().await;
        let received = heard.iter().map(|heard| heard.deliveries.len() as u64);
        tally.add_counts(expected, received.sum());
    }
    let postgres = process::cpu_with_children(cluster.pid())? - postgres;
    let ours = cpu(&running)? - ours;
    for server in running {
        server.stop().await?;
    }
    pool.close().await;
    cluster.remove(database).await?;
    let inserts = run.per_second * f64::from(seconds);
    Ok(Outcome {
        servers,
        per_second: run.per_second,
        mean_ms: run.mean_ms,
        postgres_cpu_us: postgres.as_secs_f64() * 1e6 / inserts,
        servers_cpu_us: ours.as_secs_f64() * 1e6 / inserts,
        quiet_postgres_cpu_us: quiet_cpu.as_secs_f64() * 1e6 / written.len() as f64,
        quiet: Latency::of(latencies(&heard, &written, warm).0),
        tally,
    })
}

fn cpu(servers: &[Server]) -> Result<Duration> {
    servers.iter().map(|server| process::cpu(server.pid)).sum()
}

/// The figures of one round; the numbers of servers follow each other as they were measured.
pub(crate) fn figures(round: &[Outcome]) -> Vec<Figure> {
    let one = round.iter().find(|outcome| outcome.servers == 1);
    let mut by_number = round.iter().collect::<Vec<_>>();
    by_number.sort_by_key(|outcome| outcome.servers);
    let mut figures = Vec::new();
    for outcome in by_number {
        let name = match outcome.servers {
            1 => "1 server".to_owned(),
            servers => format!("{servers} servers"),
        };
        let median = |what, value, decimals| {
            Figure::new(format!("{name}: {what}"), value, decimals, Combine::Median)
        };
        figures.push(median(
            "inserts a second of 32 writers",
            outcome.per_second,
            0,
        ));
        if let Some(one) = one.filter(|one| one.servers != outcome.servers) {
            let part = outcome.per_second / one.per_second;
            figures.push(median("the same, of that with one", part, 2).goal(Goal::AtLeast(0.9)));
        }
        figures.extend([
            median("Postgres CPU per insert, µs", outcome.postgres_cpu_us, 0),
            median(
                "CPU of all servers per insert, µs",
                outcome.servers_cpu_us,
                0,
            ),
            median(
                "100 inserts a second: Postgres CPU per insert, µs",
                outcome.quiet_postgres_cpu_us,
                0,
            ),
            median(
                "100 inserts a second: insert to client p50, ms",
                outcome.quiet.p50_ms,
                2,
            ),
            median(
                "100 inserts a second: insert to client p99, ms",
                outcome.quiet.p99_ms,
                2,
            ),
        ]);
        figures.extend(outcome.tally.figures(&name));
    }
    figures
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} servers: {:.0} inserts a second, mean {:.2} ms, Postgres {:.0} µs and the servers {:.0} µs an insert; \
             at 100 a second {}, Postgres {:.0} µs an insert; {}",
            self.servers,
            self.per_second,
            self.mean_ms,
            self.postgres_cpu_us,
            self.servers_cpu_us,
            self.quiet,
            self.quiet_postgres_cpu_us,
            self.tally
        )
    }
}
