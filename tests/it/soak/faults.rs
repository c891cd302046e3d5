//! The faults of a soak, one at a time or one into another.

use std::time::Duration;

use rand::RngExt as _;
use rustix::process::Signal;

use super::{Open, Soak};
use crate::harness::wait::until_for;
use crate::harness::writers::Hand;

/// What a server needs, and what it is without for a while.
const RIGHTS: [&str; 5] = [
    "insert, update on rowcast.sessions",
    "select on rowcast.events",
    "delete on rowcast.events",
    "select on rowcast.attached",
    "select on public.messages",
];

impl Soak {
    /// Breaks something, and lets some events pass.
    pub(super) async fn fault(&mut self) {
        self.faults += 1;
        if self.relay.is_some() && self.random.random_bool(0.15) {
            self.break_relay();
        }
        match self.random.random_range(0..100) {
            0..6 => self.restart(Signal::KILL).await,
            6..11 => self.restart(Signal::TERM).await,
            11..20 => self.terminate_backends().await,
            20..22 => self.postgres(Signal::INT).await,
            22..24 => self.postgres(Signal::QUIT).await,
            24..26 => self.rights().await,
            26 => self.large_commit().await,
            27 => self.restored_dump().await,
            28..34 => self.transaction().await,
            34..40 => self.travel(),
            40..50 => self.end_right().await,
            50..67 => self.network(),
            67..73 => self.outage().await,
            _ => self.witness(),
        }
        let pause = self.random.random_range(0..40);
        self.ledger.more(pause).await;
    }

    /// Mends what is broken, and waits until everybody is back.
    pub(super) async fn calm(&mut self) {
        for network in &self.networks {
            network.proxy.close(false);
            network.proxy.freeze(false);
            network.proxy.delay(Duration::ZERO);
            network.proxy.limit(None);
            network.proxy.cut_after(None);
        }
        if let Some(relay) = &mut self.relay {
            relay.mend();
        }
        self.allow().await;
        while let Some(open) = self.open.pop() {
            commit(open).await;
        }
        for witness in &self.witnesses {
            for (contact, _) in witness.view().rooms {
                if witness.read(|view| view.rooms[&contact].phase)
                    == crate::harness::witness::Phase::Out
                {
                    witness.rejoin(&contact);
                }
            }
        }
        self.ledger.more(20).await;
        for witness in &self.witnesses {
            let before = witness.read(|view| view.events);
            witness
                .until("to see events", |view| view.events > before + 10)
                .await;
            witness.settled().await;
        }
    }

    async fn restart(&mut self, signal: Signal) {
        let number = self.random.random_range(0..self.servers.len());
        let server = &self.servers[number];
        server.signal(signal);
        // Sometimes the other server has to take them all.
        let moves = self.random.random_bool(0.5);
        if moves {
            let other = (number + 1) % self.servers.len();
            for network in self
                .networks
                .iter_mut()
                .filter(|network| network.server == number)
            {
                network.server = other;
                network.proxy.lead(self.servers[other].address());
            }
        }
        let status = self.servers[number].ended().await;
        assert!(
            signal == Signal::KILL || status.success(),
            "a drain ends well: {status}"
        );
        if self.random.random_bool(0.5) {
            self.ledger.more(30).await;
        }
        self.start_server(number).await;
        for network in self
            .networks
            .iter()
            .filter(|network| network.server == number)
        {
            network.proxy.lead(self.servers[number].address());
        }
    }

    async fn terminate_backends(&mut self) {
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowcast%'";
        self.database.run(kill).await;
    }

    /// What failed since was this fault's doing. Waits until the writers write again.
    pub(super) async fn excuse(&mut self, before: u64) {
        loop {
            let failed = self.ledger.failed();
            self.ledger.more(60).await;
            if self.ledger.failed() == failed {
                break;
            }
        }
        self.excused += self.ledger.failed() - before;
    }

    async fn postgres(&mut self, signal: Signal) {
        // What was open is undone with it.
        self.open.clear();
        let failed = self.ledger.failed();
        self.postgres.down(signal).await;
        self.postgres.up().await;
        let pool = &self.database.pool;
        until_for(
            Duration::from_secs(30),
            "Postgres to answer again",
            async || sqlx::query("select 1").execute(pool).await.ok(),
        )
        .await;
        self.excuse(failed).await;
    }

    /// Somebody takes a right away from the servers' role, and gives it back.
    async fn rights(&mut self) {
        let right = RIGHTS[self.random.random_range(0..RIGHTS.len())];
        self.database
            .run(&format!("revoke {right} from soak_server"))
            .await;
        let events = self.random.random_range(10..200);
        self.ledger.more(events).await;
        self.database
            .run(&format!("grant {right} to soak_server"))
            .await;
    }

    /// A backfill, most of it for a room that nobody is in.
    async fn large_commit(&mut self) {
        let Some(mut hand) = Hand::on(&self.database.url, &self.ledger).await else {
            return;
        };
        let rows = self.random.random_range(2_000..15_000);
        hand.run("begin").await.expect("a transaction");
        let mut keys = hand.import("nobody", "backfill", rows).await.expect("rows");
        for contact in ["a", "d"] {
            let more = hand.import(contact, "backfill", rows / 20).await;
            keys.extend(more.expect("rows"));
        }
        commit(Open { hand, keys }).await;
    }

    async fn transaction(&mut self) {
        if self.open.len() > 3 || (!self.open.is_empty() && self.random.random_bool(0.4)) {
            let place = self.random.random_range(0..self.open.len());
            let open = self.open.swap_remove(place);
            if self.random.random_bool(0.8) {
                commit(open).await;
            }
            return;
        }
        let Some(mut hand) = Hand::on(&self.database.url, &self.ledger).await else {
            return;
        };
        hand.run("begin").await.expect("a transaction");
        let mut keys = Vec::new();
        for contact in ["a", "b", "a", "d"] {
            keys.push(hand.message(contact, "late").await.expect("a message"));
        }
        self.open.push(Open { hand, keys });
    }

    /// A network leads to the other server.
    pub(super) fn travel(&mut self) {
        let number = self.random.random_range(0..self.networks.len());
        let network = &mut self.networks[number];
        network.server = (network.server + 1) % self.servers.len();
        network.proxy.lead(self.servers[network.server].address());
        if self.random.random_bool(0.8) {
            network.proxy.cut();
        }
    }

    pub(super) fn network(&mut self) {
        let number = self.random.random_range(0..self.networks.len());
        let proxy = &self.networks[number].proxy;
        let on = self.random.random_bool(0.5);
        match self.random.random_range(0..8) {
            0 | 1 => proxy.cut(),
            2 => proxy.close(on),
            3 => proxy.freeze(on),
            4 => proxy.stall(on),
            5 => proxy.delay(Duration::from_millis(if on { 40 } else { 0 })),
            6 => proxy.cut_after(on.then(|| self.random.random_range(500..60_000))),
            _ => proxy.limit(on.then(|| self.random.random_range(1_000..200_000))),
        }
    }

    pub(super) fn witness(&mut self) {
        let number = self.random.random_range(0..self.witnesses.len());
        let witness = &self.witnesses[number];
        let contact = ["a", "b", "c"][self.random.random_range(0..3)];
        if !witness.read(|view| view.rooms.contains_key(contact)) {
            return witness.cut();
        }
        match self.random.random_range(0..10) {
            0..3 => witness.cut(),
            3..5 => witness.leave(contact),
            5..9 => witness.rejoin(contact),
            _ => witness.reload(contact),
        }
    }
}

async fn commit(mut open: Open) {
    // Where Postgres has ended meanwhile, so has the transaction.
    if open.hand.run("commit").await.is_ok() {
        open.hand.committed(&open.keys);
    }
}
