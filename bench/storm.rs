//! The storm: a server dies with thousands of clients on it, and all of them come back to the next one at once.
//!
//! Owns the crash, the restart on the same port, and the time until the last client has all it missed. Writers go on
//! throughout. The clients try again after 200 to 400 ms, much sooner than a stock client would.
//! Guarantees that a client counts as caught up when it has every row that was committed before it was back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::client::{self, Delivery};
use crate::cluster::Cluster;
use crate::database::Database;
use crate::figures::{Latency, grouped};
use crate::insert::{self, Written};
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs, Server};
use crate::session::Session;
use crate::statements::{self, Statement};
use crate::table::Goal;
use crate::tally::Tally;
use crate::witness::{Testimony, Witness};

const ROOMS: u32 = 200;
/// Inserts a second.
const RATE: u32 = 100;
/// Before the crash, and between it and the next start.
const BEFORE: Duration = Duration::from_secs(3);
const DOWN: Duration = Duration::from_secs(1);
/// How many rooms the witness is in: what it may join at once.
const WITNESSED: u32 = 40;
/// How long it is a witness at least.
const WITNESS: Duration = Duration::from_secs(2);
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How many of the most frequent statements are shown.
const STATEMENTS: usize = 10;
/// After the last row was written and the last client was back, nothing more is waited for.
const LAST: Duration = Duration::from_secs(3);

/// What one storm did.
pub(crate) struct Outcome {
    clients: u32,
    /// Until the last client was back and caught up: since the process was started, and since it was ready.
    from_start_s: f64,
    from_ready_s: f64,
    resumed: u64,
    anew: u64,
    failed: u64,
    server_cpu_s: f64,
    postgres_cpu_s: f64,
    /// Insert to client, of a client that is live meanwhile in rooms of those that come back.
    witness: Latency,
    /// The same of clients in rooms of their own, watched from a thread of its own.
    other_rooms: Latency,
    /// Statements that the server sent from its start until the last was back.
    statements: Vec<Statement>,
    tally: Tally,
}

struct Restart {
    started: Instant,
    ready: Instant,
    witness: Vec<Delivery>,
    witnessed_from: Instant,
    other_rooms: Testimony,
    statements: Vec<Statement>,
    server: Server,
    server_cpu: Duration,
    postgres_cpu: Duration,
}

pub(crate) async fn measure(
    cluster: &Cluster,
    programs: &Programs,
    clients: u32,
    seconds: u32,
) -> Result<Outcome> {
    let database = cluster.create().await?;
    programs.prepare(Contender::Rowcast, &database).await?;
    let pool = database.pool(insert::WRITERS).await?;
    let server = programs.start(Contender::Rowcast, &database).await?;
    let address = server.address;
    let (leave, back) = (CancellationToken::new(), Arc::new(AtomicU32::new(0)));
    let mut crowd = JoinSet::new();
    for (mut session, mut socket) in Session::crowd(address, clients, ROOMS, None).await? {
        let (leave, back) = (leave.clone(), back.clone());
        crowd.spawn(async move {
            let endure = async {
                loop {
                    let _ended = session.listen(&mut socket, usize::MAX).await;
                    Session::pause().await;
                    socket = session.come_back(address).await;
                    back.fetch_add(1, Ordering::Relaxed);
                }
            };
            tokio::select! {
                () = endure => {}
                () = leave.cancelled() => {}
            }
            session
        });
    }

    let rows = RATE * seconds;
    let restart = async {
        sleep(BEFORE).await;
        restart(cluster, programs, &database, server, &back, clients).await
    };
    let (written, restart) = tokio::join!(insert::paced(&pool, 0..rows, RATE, ROOMS), restart);
    let (written, mut restart) = (written?, restart?);
    sleep(LAST).await;
    leave.cancel();
    let sessions = crowd.join_all().await;
    let outcome = Outcome::of(&sessions, &written, &mut restart);
    restart.server.stop().await?;
    pool.close().await;
    cluster.remove(database).await?;
    Ok(outcome)
}

async fn restart(
    cluster: &Cluster,
    programs: &Programs,
    database: &Database,
    server: Server,
    back: &AtomicU32,
    clients: u32,
) -> Result<Restart> {
    let address = server.address;
    server.kill().await?;
    statements::count(cluster, database).await?;
    sleep(DOWN).await;
    let postgres_before = process::cpu_with_children(cluster.pid())?;
    let started = Instant::now();
    let server = programs
        .start_at(Contender::Rowcast, database, address.port(), &[])
        .await?;
    let ready = Instant::now();
    let other_rooms = Witness::start(address, database).await?;
    let mut witness = Session::crowd(address, 1, ROOMS, None).await?;
    let Some((session, socket)) = witness.first_mut() else {
        bail!("there is no witness");
    };
    for room in 1..WITNESSED {
        client::join_room(socket, room).await?;
    }
    let witnessed_from = Instant::now();
    let all_back = async {
        let deadline = Instant::now() + BACK_WITHIN;
        while back.load(Ordering::Relaxed) < clients && Instant::now() < deadline {
            sleep(Duration::from_millis(2)).await;
        }
        sleep(LAST).await;
    };
    tokio::select! {
        ended = session.listen(socket, usize::MAX) => ended?,
        () = all_back => {}
    }
    let statements = statements::counted(cluster, database).await?;
    Ok(Restart {
        started,
        ready,
        witness: std::mem::take(&mut session.deliveries),
        witnessed_from,
        other_rooms: other_rooms.stop().await?,
        statements,
        server_cpu: process::cpu(server.pid)?,
        postgres_cpu: process::cpu_with_children(cluster.pid())? - postgres_before,
        server,
    })
}

impl Outcome {
    fn of(sessions: &[Session], written: &[Written], restart: &mut Restart) -> Self {
        let count = |what: fn(&Session) -> u64| sessions.iter().map(what).sum::<u64>();
        let last = sessions
            .iter()
            .filter_map(|session| caught_up(session, written))
            .max()
            .unwrap_or(restart.ready);
        let until = last.max(restart.witnessed_from + WITNESS);
        let witnessed = restart.witness.iter().filter_map(|delivery| {
            let sent = written.get(delivery.row as usize)?.sent;
            (sent > restart.witnessed_from && sent < until).then(|| delivery.at - sent)
        });
        let rows = u32::try_from(written.len()).unwrap_or(u32::MAX);
        let mut tally = restart.other_rooms.tally();
        for session in sessions {
            tally.add(session.room, ROOMS, rows, &session.deliveries);
        }
        let back = count(|session| session.back.len() as u64);
        let anew = count(|session| u64::from(session.anew));
        Self {
            clients: u32::try_from(sessions.len()).unwrap_or(u32::MAX),
            from_start_s: (last - restart.started).as_secs_f64(),
            from_ready_s: (last - restart.ready).as_secs_f64(),
            resumed: back - anew,
            anew,
            failed: count(|session| u64::from(session.failed)),
            server_cpu_s: restart.server_cpu.as_secs_f64(),
            postgres_cpu_s: restart.postgres_cpu.as_secs_f64(),
            witness: Latency::of(witnessed.collect()),
            other_rooms: restart.other_rooms.latency(restart.witnessed_from, until),
            statements: std::mem::take(&mut restart.statements),
            tally,
        }
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        let name = format!("storm of {}", grouped(self.clients));
        let median = |what, value, decimals| {
            Figure::new(format!("{name}: {what}"), value, decimals, Combine::Median)
        };
        let mut figures = vec![
            median("all caught up, s after the start", self.from_start_s, 2),
            median("the same, s after it was ready", self.from_ready_s, 2),
            median(
                "server CPU from its start to 3 s after the last was back, s",
                self.server_cpu_s,
                2,
            ),
            median("Postgres CPU meanwhile, s", self.postgres_cpu_s, 2),
            median(
                "insert to a live client meanwhile p50, ms",
                self.witness.p50_ms,
                2,
            ),
            median(
                "insert to a live client meanwhile p99, ms",
                self.witness.p99_ms,
                2,
            ),
            median("other rooms meanwhile p99, ms", self.other_rooms.p99_ms, 2),
            Figure::new(
                format!("{name}: clients that were resumed"),
                self.resumed as f64,
                0,
                Combine::Sum,
            ),
            Figure::none(format!("{name}: clients that had to begin anew"), self.anew),
            Figure::new(
                format!("{name}: connections that were not answered"),
                self.failed as f64,
                0,
                Combine::Sum,
            )
            .goal(Goal::AtMost(0.0)),
        ];
        if !self.statements.is_empty() {
            figures.push(median(
                "statements for 1,000 resumes",
                self.statements_for_a_thousand(),
                0,
            ));
        }
        figures.extend(self.tally.figures(&name));
        figures
    }

    fn statements_for_a_thousand(&self) -> f64 {
        let calls = self.statements.iter().map(|statement| statement.calls);
        calls.sum::<u64>() as f64 * 1e3 / self.resumed as f64
    }
}

/// When it was back and had every row of its room that was committed before it was.
fn caught_up(session: &Session, written: &[Written]) -> Option<Instant> {
    let back = *session.back.first()?;
    let missed = session.deliveries.iter().filter(|delivery| {
        let written = written.get(delivery.row as usize);
        written.is_some_and(|written| written.committed <= back)
    });
    missed.map(|delivery| delivery.at).chain([back]).max()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} clients caught up {:.2} s after the start, {:.2} s after ready; resumed {}, anew {}, unanswered {}; server {:.2} s, \
             Postgres {:.2} s, {:.0} statements for 1,000 resumes; a live client meanwhile {}, other rooms {}; {}",
            grouped(self.clients),
            self.from_start_s,
            self.from_ready_s,
            self.resumed,
            self.anew,
            self.failed,
            self.server_cpu_s,
            self.postgres_cpu_s,
            self.statements_for_a_thousand(),
            self.witness,
            self.other_rooms,
            self.tally,
        )?;
        for statement in self.statements.iter().take(STATEMENTS) {
            let text = statement.text.chars().take(90).collect::<String>();
            write!(
                f,
                "\n  {} times, {:.0} ms: {text}",
                statement.calls, statement.total_ms
            )?;
        }
        Ok(())
    }
}
