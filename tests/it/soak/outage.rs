//! A server that is away for a moment and does not end: it is paused, or Postgres takes none of its connections. Other things break meanwhile.

use std::time::Duration;

use rand::RngExt as _;
use rustix::process::Signal;
use tokio::time::{Instant, timeout_at};

use super::{Soak, role};

/// Nobody asks the policy in between, so this is short of what `rights` grants beyond a lease.
const LONGEST: Duration = Duration::from_millis(2_500);

impl Soak {
    /// Something happens to one server, and it comes back as it was.
    pub(super) async fn outage(&mut self) {
        let number = self.random.random_range(0..self.servers.len());
        let until = Instant::now() + LONGEST;
        if self.random.random_bool(0.6) {
            self.servers[number].freeze().await;
            // A leader that does not know yet that it has lost the lock.
            if self.random.random_bool(0.5) {
                self.terminate_backends_of(number).await;
            }
            self.break_meanwhile(until).await;
            self.servers[number].signal(Signal::CONT);
        } else {
            self.limit_connections(number, 0).await;
            self.terminate_backends_of(number).await;
            self.break_meanwhile(until).await;
            self.limit_connections(number, -1).await;
        }
        self.outages += 1;
    }

    /// Breaks what takes no time. A seed gives the same of it, however long events take.
    async fn break_meanwhile(&mut self, until: Instant) {
        for _ in 0..self.random.random_range(1..8) {
            match self.random.random_range(0..4) {
                0 => self.travel(),
                1 => self.network(),
                2 if self.relay.is_some() => self.break_relay(),
                _ => self.witness(),
            }
            let events = self.random.random_range(10..200);
            let _enough_or_late = timeout_at(until, self.ledger.more(events)).await;
        }
    }

    async fn terminate_backends_of(&self, number: usize) {
        let role = role(number);
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity where usename =";
        self.database.run(&format!("{kill} '{role}'")).await;
    }

    async fn limit_connections(&self, number: usize, most: i32) {
        let role = role(number);
        let limit = format!("alter role {role} connection limit {most}");
        self.database.run(&limit).await;
    }
}
