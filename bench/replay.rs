//! Replay: how fast clients that were away are given what they missed.
//!
//! Owns the absence and the rows written in it. Guarantees that every row is committed, and was broadcast to a client that
//! stayed, before anybody comes back, so that nothing but replays is measured.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::Crowd;
use crate::cluster::Cluster;
use crate::process;
use crate::report::{Combine, Figure};
use crate::server::{Contender, Programs};
use crate::session::Session;
use crate::tally::Tally;

const WITHIN: Duration = Duration::from_secs(120);
/// In which what comes twice would come.
const QUIET: Duration = Duration::from_millis(500);

/// Who was away, and from how much.
pub(crate) struct Absence {
    name: &'static str,
    clients: u32,
    missed: u32,
}

/// What one return found.
pub(crate) struct Outcome {
    name: &'static str,
    seconds: f64,
    per_second: f64,
    /// Processor time of the server and of the cluster per replayed event, in microseconds.
    cpu_us: f64,
    postgres_cpu_us: f64,
    anew: u64,
    tally: Tally,
}

impl Absence {
    pub(crate) const LONG: Self = Self {
        name: "replay of 50,000 to one",
        clients: 1,
        missed: 50_000,
    };
    pub(crate) const WIDE: Self = Self {
        name: "replay of 2,000 to each of 500",
        clients: 500,
        missed: 2_000,
    };

    pub(crate) async fn measure(&self, cluster: &Cluster, programs: &Programs) -> Result<Outcome> {
        let database = cluster.create().await?;
        programs.prepare(Contender::Rowcast, &database).await?;
        let server = programs.start(Contender::Rowcast, &database).await?;
        let address = server.address;
        let sessions = Session::crowd(address, self.clients, 1, None).await?;
        let stays = Crowd::join(address, 1, 1).await?;
        let sessions = sessions.into_iter().map(|(session, socket)| {
            drop(socket);
            session
        });
        let sessions = sessions.collect::<Vec<_>>();
        database.fill(self.missed).await?;
        stays.received(u64::from(self.missed), WITHIN).await;
        stays.leave().await;

        let (cpu, postgres_cpu) = (
            process::cpu(server.pid)?,
            process::cpu_with_children(cluster.pid())?,
        );
        let begin = Instant::now();
        let (mut returning, missed) = (JoinSet::new(), self.missed as usize);
        for mut session in sessions {
            returning.spawn(async move {
                let mut socket = session.come_back(address).await;
                let all = timeout(WITHIN, session.listen(&mut socket, missed)).await;
                (session, socket, all.is_ok())
            });
        }
        let mut returned = Vec::new();
        while let Some(one) = returning.join_next().await {
            returned.push(one.context("a client broke")?);
        }
        let heard = returned
            .iter()
            .flat_map(|(session, ..)| &session.deliveries);
        let last = heard.map(|delivery| delivery.at).max().unwrap_or(begin);
        let events = f64::from(self.clients) * f64::from(self.missed);
        let cpu_us = (process::cpu(server.pid)? - cpu).as_secs_f64() * 1e6 / events;
        let postgres_cpu_us =
            (process::cpu_with_children(cluster.pid())? - postgres_cpu).as_secs_f64() * 1e6
                / events;

        sleep(QUIET).await;
        let (mut tally, mut anew) = (Tally::default(), 0);
        for (mut session, mut socket, _) in returned {
            let _quiet = timeout(
                Duration::from_millis(1),
                session.listen(&mut socket, usize::MAX),
            )
            .await;
            tally.add(0, 1, self.missed, &session.deliveries);
            anew += u64::from(session.anew);
        }
        server.stop().await?;
        cluster.remove(database).await?;
        let seconds = (last - begin).as_secs_f64();
        Ok(Outcome {
            name: self.name,
            seconds,
            per_second: events / seconds,
            cpu_us,
            postgres_cpu_us,
            anew,
            tally,
        })
    }
}

impl Outcome {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let median = |what, value, decimals| {
            Figure::new(
                format!("{}: {what}", self.name),
                value,
                decimals,
                Combine::Median,
            )
        };
        let mut figures = vec![
            median("s to the last", self.seconds, 2),
            median("events a second", self.per_second, 0),
            median("server CPU per event, µs", self.cpu_us, 1),
            median("Postgres CPU per event, µs", self.postgres_cpu_us, 1),
            Figure::none(
                format!("{}: clients that had to begin anew", self.name),
                self.anew,
            ),
        ];
        figures.extend(self.tally.figures(self.name));
        figures
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:.2} s, {:.0} events a second, server {:.1} µs and Postgres {:.1} µs an event; anew {}; {}",
            self.name,
            self.seconds,
            self.per_second,
            self.cpu_us,
            self.postgres_cpu_us,
            self.anew,
            self.tally,
        )
    }
}
