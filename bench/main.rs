//! The load generator behind `make bench`: Rowcast and the 40-line Node server, side by side.
//!
//! Owns the whole run: its own Postgres cluster, both servers, the clients, the writers, the table at the end.
//! Refuses to measure over what is there: no database but its own, one run at a time in one target folder.
//! Guarantees that both servers see the same rows, rooms and clients, alternating within one run, and that every
//! figure printed is the median of what was measured in it.
//! Relies on Linux's `/proc`, on Node for the peer, and on `pgbench` beside the Postgres binaries for the writers.

mod attack;
mod client;
mod cluster;
mod database;
mod delivery;
mod environment;
mod figures;
mod insert;
mod process;
mod replay;
mod report;
mod rights;
mod server;
mod session;
mod storm;
mod stuck;
mod table;
mod tally;
mod writers;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::Cluster;
use crate::delivery::Shape;
use crate::replay::Absence;
use crate::report::Report;
use crate::server::{Contender, Programs};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 200 clients in 20 rooms, 200 inserts a second.
    Steady,
    /// 1,000 clients in 10 rooms, 100 inserts a second, and the memory they take while idle.
    Fanout,
    /// Throughput of 1, 8 and 32 writers, with and without capture.
    Writers,
    /// 2,000 clients come back at once to a server that crashed. Rowcast alone, as all that follow.
    Storm,
    /// Replay of 50,000 missed events to one client, and of 2,000 to each of 500.
    Replay,
    /// 1,000 clients with and without two beside them that don't read.
    Stuck,
    /// What tokens and the shipped policy add to a join, and to 2,000 clients that come back with 20 rooms each.
    Rights,
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
    /// One of the two servers alone.
    #[arg(long)]
    only: Option<Contender>,
    /// Another rowcast binary than the one just built.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_rowcast"))]
    rowcast: PathBuf,
    /// `cargo bench` says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // `cargo test --all-targets` starts benchmarks too, without this word; a run of minutes is not meant then.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("benchmarks run with `make bench`");
        return ExitCode::SUCCESS;
    }
    match run_until_stopped(&Options::parse()).await {
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
    process::raise_file_limit()?;

    let programs = Programs::find(&options.rowcast, &folder)?;
    let cluster = Cluster::start(&folder).await?;
    let mut report = Report::new(cluster.version().await?, options.rounds);
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
            }
        }
    }
    if wanted(Part::Writers) {
        match cluster.pgbench() {
            None => {
                report.note("Writers were not measured: no pgbench beside the Postgres binaries.");
            }
            Some(pgbench) => {
                let runs = writers::Runs {
                    cluster: &cluster,
                    programs: &programs,
                    pgbench,
                    only: options.only,
                };
                for run in runs
                    .measure(options.rounds, &options.writers, options.writer_seconds)
                    .await?
                {
                    report.writer_run(run);
                }
            }
        }
    }

    if options.only != Some(Contender::Node) {
        for round in 1..=options.rounds {
            alone(options, &wanted, &cluster, &programs, &mut report, round).await?;
        }
    }

    let text = report.to_string();
    fs::write(folder.join("report.md"), &text)?;
    std::io::stdout().write_all(text.as_bytes())?;
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
    if wanted(Part::Storm) {
        let outcome = storm::measure(cluster, programs).await.context("storm")?;
        eprintln!("storm round {round}: {outcome}");
        report.alone(outcome.figures());
    }
    if wanted(Part::Replay) {
        for absence in [Absence::LONG, Absence::WIDE] {
            let outcome = absence.measure(cluster, programs).await.context("replay")?;
            eprintln!("round {round}: {outcome}");
            report.alone(outcome.figures());
        }
    }
    if wanted(Part::Rights) {
        for is_guarded in [round.is_multiple_of(2), !round.is_multiple_of(2)] {
            let outcome = rights::measure(cluster, programs, is_guarded)
                .await
                .context("rights")?;
            eprintln!("rights round {round}: {outcome}");
            report.alone(outcome.figures());
        }
    }
    if wanted(Part::Attack) {
        let outcome = attack::measure(cluster, programs, options.seconds)
            .await
            .context("attack")?;
        eprintln!("attack round {round}: {outcome}");
        report.alone(outcome.figures());
    }
    if wanted(Part::Stuck) {
        for beside_stuck in [false, true] {
            let outcome = stuck::measure(cluster, programs, beside_stuck, options.seconds)
                .await
                .context("stuck")?;
            eprintln!("stuck round {round}: {outcome}");
            report.alone(outcome.figures());
        }
    }
    Ok(())
}
