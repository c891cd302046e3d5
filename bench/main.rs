//! The load generator behind `make bench`: Rowcast and the 40-line Node server, side by side.
//!
//! Owns the whole run: its own Postgres cluster, both servers, the clients, the writers, the table at the end.
//! Refuses to measure over what is there: no database but its own, one run at a time in one target folder.
//! Guarantees that both servers see the same rows, rooms and clients, alternating within one run, and that every
//! figure printed is the median of what was measured in it.
//! Relies on Linux's `/proc`, on Node for the peer, and on `pgbench` beside the Postgres binaries for the writers.

mod attack;
mod bulk;
mod client;
mod cluster;
mod crowded;
mod database;
mod deep;
mod delivery;
mod environment;
mod figures;
mod flush;
mod history;
mod idle;
mod insert;
mod process;
mod rates;
mod relay;
mod replay;
mod report;
mod rights;
mod server;
mod servers;
mod session;
mod statements;
mod storm;
mod stuck;
mod table;
mod tally;
mod throughputs;
mod witness;
mod writers;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::{Cluster, Flush};
use crate::delivery::Shape;
use crate::history::History;
use crate::replay::Absence;
use crate::report::Report;
use crate::server::{Contender, Programs};
use crate::writers::Pgbench;

/// How many write where a flush takes longer.
const FLUSH_WRITERS: [u32; 1] = [32];

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 200 clients in 20 rooms, 200 inserts a second.
    Steady,
    /// 1,000 clients in 10 rooms, 100 inserts a second, and the memory they take while idle.
    Fanout,
    /// Memory of 1,000 and 20,000 connections that only wait.
    Idle,
    /// Throughput of 1, 8 and 32 writers, with and without capture, and with a second insert by hand.
    Writers,
    /// The same of 32 writers on a disk whose flushes take a millisecond longer.
    Flush,
    /// Writers, latency and processor time with 1, 2, 4 and 8 servers on the database. Rowcast alone, as all that follow.
    Servers,
    /// Processor time of a delivery at 100, 1,000 and 5,000 events a second into the same rooms.
    Rates,
    /// 5,000 and 10,000 sockets in one room, and what other rooms feel.
    Crowded,
    /// 500,000 rows committed at once into one room, and what other rooms feel.
    Bulk,
    /// 2,000 and 5,000 clients come back at once to a server that crashed.
    Storm,
    /// Replay of 50,000 missed events to one client, and of 2,000 to each of 500.
    Replay,
    /// Replay of 1,000,000 missed events to one client, and what other rooms feel.
    Deep,
    /// 1,000 clients with and without two beside them that don't read.
    Stuck,
    /// What tokens and the shipped policy add to a join, and to 2,000 clients that come back with 20 rooms each.
    Rights,
    /// 1, 8 and 16 servers on one database, each reading by itself, and over a relay. Only where it is named.
    Relay,
    /// 200 clients beside 10,000 strangers that say nothing, 10,000 that only open the engine, and 1,000 that flood at the limit.
    Attack,
}

#[derive(Parser)]
#[command(
    name = "bench/run",
    about = "Measures Rowcast beside a Node server and prints the table"
)]
struct Options {
    /// What to run; everything when none is named.
    parts: Vec<Part>,
    /// Rounds of each measurement; the table holds their medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds measured per round and server in the delivery parts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Seconds per run of the writers.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=600))]
    writer_seconds: u32,
    /// Folder of the cluster and the logs, on the disk to be measured; `bench` in the target folder by default.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// How many write at once, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32], value_parser = clap::value_parser!(u32).range(1..=90))]
    writers: Vec<u32>,
    /// How many servers, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8], value_parser = clap::value_parser!(u32).range(1..=16))]
    servers: Vec<u32>,
    /// Events a second, one after another.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 5_000], value_parser = clap::value_parser!(u32).range(1..=50_000))]
    rates: Vec<u32>,
    /// Sockets in the crowded room, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [5_000, 10_000])]
    sockets: Vec<u32>,
    /// Idle connections, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 20_000])]
    connections: Vec<u32>,
    /// Rows of the large commit.
    #[arg(long, default_value_t = 500_000)]
    bulk_rows: u32,
    /// Clients of the storm, one run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [2_000, 5_000])]
    clients: Vec<u32>,
    /// Events that the client of the deep replay missed.
    #[arg(long, default_value_t = 1_000_000)]
    missed: u32,
    /// One of the two servers alone.
    #[arg(long)]
    only: Option<Contender>,
    /// Another rowcast binary than the one just built.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_rowcast"))]
    rowcast: PathBuf,
    /// Small numbers and Rowcast alone, for what must hold whatever the build and the machine: counts, and bounds of memory.
    #[arg(long)]
    smoke: bool,
    /// Seconds that rows are written for in the storm.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(8..=600))]
    storm_seconds: u32,
    /// Don't record the figures in bench/history.
    #[arg(long)]
    no_history: bool,
    /// `cargo bench` says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// A smoke that has shown what it looks for is over: what never comes is waited for long.
    fn stop_when_broken(&self, report: &Report) -> Result<()> {
        if self.smoke {
            report.ensure_whole()?;
        }
        Ok(())
    }

    /// To what takes less than a minute in a debug build.
    fn shrink(&mut self) {
        self.parts = vec![
            Part::Steady,
            Part::Rates,
            Part::Crowded,
            Part::Bulk,
            Part::Storm,
            Part::Deep,
        ];
        self.only = Some(Contender::Rowcast);
        self.no_history = true;
        self.rounds = 1;
        self.seconds = 3;
        self.rates = vec![100, 1_000];
        self.sockets = vec![500];
        self.bulk_rows = 20_000;
        self.clients = vec![200];
        self.storm_seconds = 10;
        self.missed = 20_000;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // `cargo test --all-targets` starts benchmarks too, without this word; a run of minutes is not meant then.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("benchmarks run with `make bench`");
        return ExitCode::SUCCESS;
    }
    let mut options = Options::parse();
    if options.smoke {
        options.shrink();
    }
    match run_until_stopped(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run_until_stopped(options: &Options) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Whichever way it ends, `run` is dropped, and with it the servers and the cluster it started.
    tokio::select! {
        outcome = run(options) => outcome,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn run(options: &Options) -> Result<()> {
    let folder = match &options.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench"),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = File::create(folder.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!("another benchmark is running in {}", folder.display());
    }
    let files = process::raise_file_limit()?;

    let history = History::begin();
    let programs = Programs::find(&options.rowcast, &folder)?;
    let cluster = Cluster::start(&folder, Flush::Plain).await?;
    let version = cluster.version().await?;
    let mut report = Report::new(version.clone(), options.rounds);
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);

    for (part, shape) in [(Part::Steady, Shape::STEADY), (Part::Fanout, Shape::FANOUT)] {
        if !wanted(part) {
            continue;
        }
        for round in 0..options.rounds {
            for contender in Contender::in_turn(round, options.only) {
                let outcome =
                    delivery::measure(&cluster, &programs, contender, &shape, options.seconds)
                        .await
                        .with_context(|| format!("{} with {contender}", shape.name))?;
                eprintln!("{} round {} {contender}: {outcome}", shape.name, round + 1);
                report.delivery(&shape, contender, outcome);
                options.stop_when_broken(&report)?;
            }
        }
    }
    if wanted(Part::Idle) {
        for round in 0..options.rounds {
            for connections in &options.connections {
                // Both ends are open files, and others are, too.
                let connections = u64::from(*connections).min(files.saturating_sub(500));
                let connections = u32::try_from(connections)?;
                for contender in Contender::in_turn(round, options.only) {
                    let outcome = idle::measure(&cluster, &programs, contender, connections)
                        .await
                        .with_context(|| format!("idle with {contender}"))?;
                    eprintln!("idle round {}: {outcome}", round + 1);
                    report.alone(outcome.figures());
                }
            }
        }
    }
    let pgbench = cluster.pgbench();
    if pgbench.is_none()
        && [Part::Writers, Part::Flush, Part::Servers]
            .into_iter()
            .any(wanted)
    {
        report.note("Writers were not measured: no pgbench beside the Postgres binaries.");
    }
    if let Some(pgbench) = pgbench {
        writers(
            options,
            &wanted,
            &folder,
            &cluster,
            &programs,
            &pgbench,
            &mut report,
        )
        .await?;
    }

    if options.only != Some(Contender::Node) {
        for round in 1..=options.rounds {
            alone(options, &wanted, &cluster, &programs, &mut report, round).await?;
        }
    }

    let text = report.to_string();
    fs::write(folder.join("report.md"), &text)?;
    std::io::stdout().write_all(text.as_bytes())?;
    let lines = report.lines();
    if !options.no_history {
        let path = history.record(&version, options.rounds, &lines)?;
        eprintln!(
            "recorded in {}; bench/compare shows it beside earlier runs",
            path.display()
        );
    }
    report.ensure_whole()?;
    Ok(())
}

/// What `pgbench` measures.
async fn writers(
    options: &Options,
    wanted: &impl Fn(Part) -> bool,
    folder: &Path,
    cluster: &Cluster,
    programs: &Programs,
    pgbench: &Pgbench,
    report: &mut Report,
) -> Result<()> {
    let runs = |cluster, flush| writers::Runs {
        cluster,
        flush,
        programs,
        pgbench,
        only: options.only,
    };
    if wanted(Part::Writers) {
        let runs = runs(cluster, Flush::Plain);
        let measured = runs.measure(options.rounds, &options.writers, options.writer_seconds);
        report.writer_runs(measured.await?);
    }
    if wanted(Part::Flush) {
        let delayed = Cluster::start(folder, Flush::Delayed).await?;
        let runs = runs(&delayed, Flush::Delayed);
        let measured = runs.measure(options.rounds, &FLUSH_WRITERS, options.writer_seconds);
        report.writer_runs(measured.await?);
    }
    if wanted(Part::Servers) && options.only != Some(Contender::Node) {
        for round in 0..options.rounds {
            let (mut outcomes, mut turn) = (Vec::new(), options.servers.clone());
            let first = round as usize % turn.len();
            turn.rotate_left(first);
            for servers in turn {
                let seconds = options.writer_seconds;
                let outcome =
                    servers::measure(cluster, programs, pgbench, servers, seconds).await?;
                eprintln!("round {} {outcome}", round + 1);
                outcomes.push(outcome);
            }
            report.alone(servers::figures(&outcomes));
        }
    }
    Ok(())
}

/// One round of the parts that have no peer: a server that keeps no events can't give back what was missed.
async fn alone(
    options: &Options,
    wanted: &impl Fn(Part) -> bool,
    cluster: &Cluster,
    programs: &Programs,
    report: &mut Report,
    round: u32,
) -> Result<()> {
    if wanted(Part::Rates) {
        let outcome = rates::measure(cluster, programs, &options.rates, options.seconds)
            .await
            .context("rates")?;
        eprintln!("rates round {round}: {outcome}");
        report.alone(outcome.figures());
        options.stop_when_broken(report)?;
    }
    if wanted(Part::Crowded) {
        for sockets in &options.sockets {
            let outcome = crowded::measure(cluster, programs, *sockets, options.seconds)
                .await
                .context("crowded")?;
            eprintln!("crowded round {round}: {outcome}");
            report.alone(outcome.figures());
            options.stop_when_broken(report)?;
        }
    }
    if wanted(Part::Bulk) {
        let outcome = bulk::measure(cluster, programs, options.bulk_rows)
            .await
            .context("bulk")?;
        eprintln!("bulk round {round}: {outcome}");
        report.alone(outcome.figures());
        options.stop_when_broken(report)?;
    }
    if wanted(Part::Storm) {
        for clients in &options.clients {
            let outcome = storm::measure(cluster, programs, *clients, options.storm_seconds)
                .await
                .context("storm")?;
            eprintln!("storm round {round}: {outcome}");
            report.alone(outcome.figures());
            options.stop_when_broken(report)?;
        }
    }
    if wanted(Part::Replay) {
        for absence in [Absence::LONG, Absence::WIDE] {
            let outcome = absence.measure(cluster, programs).await.context("replay")?;
            eprintln!("round {round}: {outcome}");
            report.alone(outcome.figures());
            options.stop_when_broken(report)?;
        }
    }
    if wanted(Part::Deep) {
        let outcome = deep::measure(cluster, programs, options.missed)
            .await
            .context("deep replay")?;
        eprintln!("round {round}: {outcome}");
        report.alone(outcome.figures());
        options.stop_when_broken(report)?;
    }
    if wanted(Part::Rights) {
        for is_guarded in [round.is_multiple_of(2), !round.is_multiple_of(2)] {
            let outcome = rights::measure(cluster, programs, is_guarded)
                .await
                .context("rights")?;
            eprintln!("rights round {round}: {outcome}");
            report.alone(outcome.figures());
            options.stop_when_broken(report)?;
        }
    }
    if wanted(Part::Attack) {
        let outcome = attack::measure(cluster, programs, options.seconds)
            .await
            .context("attack")?;
        eprintln!("attack round {round}: {outcome}");
        report.alone(outcome.figures());
        options.stop_when_broken(report)?;
    }
    if options.parts.contains(&Part::Relay) {
        for servers in [1, 8, 16] {
            for is_relayed in [round.is_multiple_of(2), !round.is_multiple_of(2)] {
                let outcome =
                    relay::measure(cluster, programs, servers, is_relayed, options.seconds)
                        .await
                        .context("relay")?;
                eprintln!("relay round {round}: {outcome}");
                report.alone(outcome.figures());
            }
        }
    }
    if wanted(Part::Stuck) {
        for beside_stuck in [false, true] {
            let outcome = stuck::measure(cluster, programs, beside_stuck, options.seconds)
                .await
                .context("stuck")?;
            eprintln!("stuck round {round}: {outcome}");
            report.alone(outcome.figures());
            options.stop_when_broken(report)?;
        }
    }
    Ok(())
}
