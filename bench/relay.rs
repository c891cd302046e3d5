//! Relay: many servers on one database, each reading by itself, and with one that reads for all.
//!
//! Owns a NATS of its own. The clients are at one server, the last to start, which is an edge where there is a relay.
//! Guarantees that the same is measured with and without it. Relies on `nats-server` (scripts/setup relay).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::client::Crowd;
use crate::cluster::Cluster;
use crate::delivery::latencies;
use crate::figures::Latency;
use crate::insert;
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs, Server};
use crate::tally::Tally;

const CLIENTS: u32 = 100;
const ROOMS: u32 = 20;
/// Inserts a second.
const RATE: u32 = 200;
const WARM_UP_SECONDS: u32 = 3;
const LAST_WITHIN: Duration = Duration::from_secs(10);
/// After this a relay has its leader.
const SETTLE: Duration = Duration::from_secs(4);

/// One measurement.
pub(crate) struct Outcome {
    servers: u32,
    is_relayed: bool,
    from_commit: Latency,
    postgres_cpu_us: f64,
    servers_cpu_us: f64,
    tally: Tally,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    servers: u32,
    is_relayed: bool,
    seconds: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let nats = Nats::start().await?;
    let relay = if is_relayed { nats.url.as_str() } else { "" };
    let mut all: Vec<Server> = Vec::new();
    for number in 0..servers {
        let variables = [("ROWCAST_RELAY", relay)];
        let name = format!("rowcast-{number}");
        all.push(programs.start_beside(&name, &database, &variables).await?);
    }
    let last = all.last().context("there is one")?;
    sleep(SETTLE).await;
    let crowd = Crowd::join(last.address, CLIENTS, ROOMS).await?;
    let measured_from = WARM_UP_SECONDS * RATE;
    let rows = measured_from + seconds * RATE;
    let per_row = u64::from(CLIENTS / ROOMS);
    insert::paced(&pool, 0..measured_from, RATE, ROOMS).await?;
    crowd
        .received(u64::from(measured_from) * per_row, LAST_WITHIN)
        .await;
    let before = cpu_times(&all, cluster)?;
    let written = insert::paced(&pool, measured_from..rows, RATE, ROOMS).await?;
    crowd.received(u64::from(rows) * per_row, LAST_WITHIN).await;
    let after = cpu_times(&all, cluster)?;
    let heard = crowd.leave().await;
    for server in all {
        server.stop().await?;
    }
    pool.close().await;
    cluster.remove(database).await?;

    let tally = Tally::of(&heard, ROOMS, rows);
    let (_, from_commit) = latencies(&heard, &written, measured_from);
    let an_insert = |before: Duration, after: Duration| {
        (after - before).as_secs_f64() * 1e6 / written.len() as f64
    };
    Ok(Outcome {
        servers,
        is_relayed,
        from_commit: Latency::of(from_commit),
        postgres_cpu_us: an_insert(before.0, after.0),
        servers_cpu_us: an_insert(before.1, after.1),
        tally,
    })
}

/// Of Postgres, and of all servers.
fn cpu_times(servers: &[Server], cluster: &Cluster) -> Result<(Duration, Duration)> {
    let each = servers.iter().map(|server| process::cpu(server.pid));
    let all = each.sum::<Result<Duration>>()?;
    Ok((process::cpu_with_children(cluster.pid())?, all))
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let what = |figure: &str| {
            let way = if self.is_relayed {
                "over a relay"
            } else {
                "each by itself"
            };
            format!("{} servers, {way}: {figure}", self.servers)
        };
        let lost = self.tally.lost + self.tally.too_much();
        vec![
            Figure::new(
                what("Postgres CPU an insert, µs"),
                self.postgres_cpu_us,
                0,
                Combine::Median,
            ),
            Figure::new(
                what("CPU of all servers an insert, µs"),
                self.servers_cpu_us,
                0,
                Combine::Median,
            ),
            Figure::new(
                what("commit to client, p50 ms"),
                self.from_commit.p50_ms,
                2,
                Combine::Median,
            ),
            Figure::new(
                what("commit to client, p99 ms"),
                self.from_commit.p99_ms,
                2,
                Combine::Median,
            ),
            Figure::new(
                what("lost, doubled or misled"),
                lost as f64,
                0,
                Combine::Sum,
            ),
        ]
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} servers, relay {}: Postgres {:.0} µs an insert, servers {:.0}, commit to client {:.2}/{:.2} ms; {}",
            self.servers,
            self.is_relayed,
            self.postgres_cpu_us,
            self.servers_cpu_us,
            self.from_commit.p50_ms,
            self.from_commit.p99_ms,
            self.tally
        )
    }
}

/// A NATS on a port that it finds by itself. Gone with the value.
struct Nats {
    process: Child,
    folder: PathBuf,
    url: String,
}

impl Nats {
    async fn start() -> Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("rowcast-bench-nats-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/guide/bin/nats-server");
        let found = [Path::new("/usr/sbin/nats-server"), &unpacked];
        let binary = found.into_iter().find(|path| path.exists());
        let mut process = Command::new(binary.unwrap_or(Path::new("nats-server")))
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("no nats-server: scripts/setup relay")?;
        let ports = folder.join(format!("nats-server_{}.ports", process.id()));
        for _ in 0..500 {
            if let Ok(text) = fs::read_to_string(&ports)
                && let Ok(said) = serde_json::from_str::<serde_json::Value>(&text)
                && let Some(url) = said["nats"][0].as_str()
            {
                let url = url.to_owned();
                return Ok(Self {
                    process,
                    folder,
                    url,
                });
            }
            sleep(Duration::from_millis(20)).await;
        }
        let _it_may_have_ended = process.kill();
        anyhow::bail!("nats-server says no port")
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _it_may_have_ended = self.process.kill();
        let _status = self.process.wait();
        let _left_in_the_folder_of_temporary_files = fs::remove_dir_all(&self.folder);
    }
}
