//! A relay between the servers of a soak, and what breaks of it: NATS, and each server's way to it.

use std::time::Duration;

use rand::RngExt as _;
use rustix::process::Signal;

use super::Soak;
use crate::harness::nats::Nats;
use crate::harness::wait::until_for;
use crate::harness::{Proxy, Server};

/// NATS, and a way to it of each server, by the servers' numbers.
pub(super) struct Relay {
    nats: Nats,
    state: State,
    ways: Vec<Proxy>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Runs,
    Paused,
    Gone,
}

impl Relay {
    /// For so many servers.
    pub(super) async fn start(servers: usize) -> Self {
        let nats = Nats::start().await;
        let mut ways = Vec::new();
        for _ in 0..servers {
            ways.push(Proxy::to(&nats.address()).await);
        }
        Self {
            nats,
            state: State::Runs,
            ways,
        }
    }

    /// What `ROWCAST_RELAY` of a server is.
    pub(super) fn url(&self, server: usize) -> String {
        format!("nats://{}", self.ways[server].address())
    }

    fn becomes(&mut self, state: State) {
        match (self.state, state) {
            (from, to) if from == to => return,
            (State::Gone, _) => self.nats.restart(),
            (State::Paused, _) => self.nats.signal(Signal::CONT),
            (State::Runs, _) => {}
        }
        match state {
            State::Runs => {}
            State::Paused => self.nats.signal(Signal::STOP),
            State::Gone => self.nats.crash(),
        }
        self.state = state;
    }

    /// Everything of it is whole again.
    pub(super) fn mend(&mut self) {
        self.becomes(State::Runs);
        for way in &self.ways {
            way.close(false);
            way.freeze(false);
            way.cut_after(None);
        }
    }
}

impl Soak {
    /// Breaks something of the relay, or mends it.
    pub(super) fn break_relay(&mut self) {
        let on = self.random.random_bool(0.5);
        let what = self.random.random_range(0..10);
        let number = self.random.random_range(0..self.servers.len());
        let cut_after = self.random.random_range(500..60_000);
        let Some(relay) = &mut self.relay else {
            return;
        };
        let way = &relay.ways[number];
        match what {
            0 => {
                relay.becomes(State::Gone);
                if on {
                    relay.becomes(State::Runs);
                }
            }
            1 => relay.becomes(State::Paused),
            2 | 3 => relay.becomes(State::Runs),
            4 | 5 => way.cut(),
            6 => way.close(on),
            7 => way.cut_after(on.then_some(cut_after)),
            _ => way.freeze(on),
        }
    }

    /// With everything mended one server leads, and the others deliver what it tells them.
    pub(super) async fn relay_is_whole(&self) {
        if self.relay.is_none() {
            return;
        }
        let mut before = None;
        let patience = Duration::from_secs(60);
        let edges = until_for(patience, "a leader and edges that it tells", async || {
            let (mut leaders, mut applied) = (0, Vec::new());
            for server in &self.servers {
                if is(server, "leader").await {
                    leaders += 1;
                } else if is(server, "edge").await {
                    let told = server.metric("rowcast_relay_messages_total", &["applied"]);
                    applied.push(told.await);
                }
            }
            if leaders != 1 || applied.len() + 1 != self.servers.len() {
                before = None;
                return None;
            }
            let before = before.get_or_insert_with(|| applied.clone());
            let mut both = before.iter().zip(&applied);
            both.all(|(before, now)| now > before)
                .then_some(applied.len())
        });
        eprintln!("relay: 1 leader and {} edges that it tells", edges.await);
    }
}

async fn is(server: &Server, role: &str) -> bool {
    let label = format!("role=\"{role}\"");
    server.metric("rowcast_relay_role", &[&label]).await > 0.5
}
