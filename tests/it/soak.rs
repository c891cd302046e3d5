//! Everything breaks at random, for as long as one likes: `make soak MINUTES=20 SEED=1 SERVERS=3 RELAY=1`.
//!
//! Among the other tests it lasts a few seconds, with each arrangement of servers. It prints its seed first and its tally last; a seed gives the same
//! faults in the same order, though never at the same moments.

mod faults;
mod outage;
mod presence;
mod relay;
mod rights;
mod swap;
mod watch;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::harness::cluster::with_database;
use crate::harness::ledger::Ledger;
use crate::harness::setting::number;
use crate::harness::trial::{BUSY, fence, judge};
use crate::harness::witness::Witness;
use crate::harness::writers::{Habit, Hand, Writers};
use crate::harness::{Database, Kind, Launch, Pooler, Postgres, Proxy, Server, Stock};
use relay::Relay;
use rights::Rights;
use watch::Watch;

/// Long enough for a few faults.
const SMOKE: Duration = Duration::from_secs(6);
/// It finds a Postgres that comes back at once, as the writers do, and holds nobody for long.
const POOLER: &str = "ignore_startup_parameters = extra_float_digits\nserver_login_retry = 1\nquery_wait_timeout = 15";
const CONTACTS: [&str; 5] = ["a", "b", "c", "d", "nobody"];

/// All that can break, and who must not notice. Fields end in this order.
struct Soak {
    random: StdRng,
    witnesses: Vec<Witness>,
    writers: Writers,
    open: Vec<Open>,
    ledger: Ledger,
    watch: Watch,
    rights: Rights,
    /// Writes that failed because of a fault that fails writers.
    excused: u64,
    networks: Vec<Network>,
    servers: Vec<Server>,
    /// Between the servers, if there is one.
    relay: Option<Relay>,
    _stock: Stock,
    database: Database,
    /// Between the writers and the database. The servers have none.
    _pooler: Pooler,
    postgres: Postgres,
    faults: u64,
    /// Servers that were away for a moment.
    outages: u64,
    /// Dumps that were restored.
    restored: u64,
}

/// A way to a server, which may change.
struct Network {
    proxy: Proxy,
    server: usize,
}

/// A transaction that somebody has forgotten.
struct Open {
    hand: Hand,
    keys: Vec<crate::harness::ledger::Key>,
}

#[tokio::test]
async fn whatever_breaks_nothing_is_lost() {
    let servers = number("SOAK_SERVERS").map_or(2, |servers| servers.try_into().expect("few"));
    soak(servers, number("SOAK_RELAY") == Some(1)).await;
}

#[tokio::test]
async fn whatever_breaks_three_servers_lose_nothing() {
    soak(3, false).await;
}

#[tokio::test]
async fn whatever_breaks_three_servers_over_a_relay_lose_nothing() {
    soak(3, true).await;
}

/// Breaks things under so many servers, counts, and judges.
async fn soak(servers: usize, relayed: bool) {
    let minutes = number("SOAK_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let seed = number("SOAK_SEED").unwrap_or_else(|| u64::from(now.subsec_nanos()));
    eprintln!("seed {seed}, {servers} servers, relay: {relayed}");
    let mut soak = Soak::new(seed, servers, relayed).await;
    let began = Instant::now();
    let mut told = Instant::now();
    while began.elapsed() < minutes.unwrap_or(SMOKE) {
        soak.fault().await;
        if told.elapsed() > Duration::from_secs(30) {
            soak.calm().await;
            eprintln!(
                "{:>4} s: {} faults, {} events written",
                began.elapsed().as_secs(),
                soak.faults,
                soak.ledger.written()
            );
            told = Instant::now();
        }
    }
    let faults = soak.faults;
    soak.calm().await;
    soak.relay_is_whole().await;
    soak.presence_is_right().await;
    soak.writers.stop().await;
    fence(&soak.witnesses, &soak.database).await;
    let tally = judge(&soak.witnesses, &soak.ledger, &soak.database).await;
    eprintln!(
        "seed {seed}, {} s, {faults} faults, {} outages, {} dumps restored",
        began.elapsed().as_secs(),
        soak.outages,
        soak.restored
    );
    tally.assert_clean();
    soak.writers_are_unharmed();
    soak.rights_were_kept();
    assert!(faults > 3, "{faults} faults");
}

impl Soak {
    async fn new(seed: u64, count: usize, relayed: bool) -> Self {
        let postgres = Postgres::start().await;
        let database = swap::make(&postgres).await;
        let pooler = Pooler::start(&postgres, "transaction", 4, POOLER).await;
        make_roles(&database, count).await;
        let relay = match relayed {
            true => Some(Relay::start(count).await),
            false => None,
        };
        let mut servers = Vec::new();
        let mut networks = Vec::new();
        for number in 0..count {
            servers.push(start(&database, relay.as_ref(), number).await);
        }
        for number in 0..3 {
            let server = number % servers.len();
            let proxy = Proxy::to(servers[server].address()).await;
            networks.push(Network { proxy, server });
        }
        let stock = Stock::start();
        let mut witnesses = Vec::new();
        for (number, kind) in Kind::ALL
            .into_iter()
            .cycle()
            .take(3 * Kind::ALL.len())
            .enumerate()
        {
            let network = &networks[number / Kind::ALL.len()].proxy;
            let rooms = [&["a", "b"][..], &["a", "c"], &["a", "b", "c", "d"]][number % 3];
            let pass = rights::pass(number);
            let witness = Witness::admitted(&stock, network.address(), kind, rooms, pass);
            witnesses.push(witness.await);
        }
        let ledger = Ledger::default();
        let habit = Habit {
            seed,
            ..Habit::of(&CONTACTS)
        };
        Self {
            random: StdRng::seed_from_u64(seed),
            witnesses,
            writers: Writers::start(&with_database(&pooler.url(), swap::NAME), &ledger, &habit),
            open: Vec::new(),
            ledger,
            watch: Watch::start(&database.url),
            rights: Rights::default(),
            excused: 0,
            networks,
            servers,
            relay,
            _stock: stock,
            database,
            _pooler: pooler,
            postgres,
            faults: 0,
            outages: 0,
            restored: 0,
        }
    }
}

impl Soak {
    /// Starts the server of that number anew.
    async fn start_server(&mut self, number: usize) {
        self.servers[number] = start(&self.database, self.relay.as_ref(), number).await;
    }

    /// No write failed but by faults that fail writers, and none waited for us.
    fn writers_are_unharmed(&self) {
        let failed = self.ledger.failed() - self.excused;
        let waits = self.watch.waits();
        eprintln!(
            "writers: {failed} failed, {} excused, {} waited for us, in {} looks",
            self.excused,
            waits.len(),
            self.watch.looks()
        );
        assert_eq!(
            failed,
            0,
            "the last failures: {:#?}",
            self.ledger.failures()
        );
        assert!(waits.is_empty(), "{waits:#?}");
        assert!(self.watch.looks() > 10, "somebody looked");
    }
}

/// A role that may do what a server must, so that a right of it can be taken away, and one in it for each server.
async fn make_roles(database: &Database, servers: usize) {
    database.run("create role soak_server").await;
    Launch::command(["grant", "soak_server", "--apply"])
        .database(&database.url)
        .succeed()
        .await;
    for number in 0..servers {
        let role = role(number);
        let make = format!("create role {role} login in role soak_server");
        database.run(&make).await;
    }
}

/// The role of the server of that number.
fn role(number: usize) -> String {
    format!("soak_server_{number}")
}

/// The server of that number, in its role.
async fn start(database: &Database, relay: Option<&Relay>, number: usize) -> Server {
    let launch = Launch::serve().database(&database.url_as(&role(number)));
    let mut launch = BUSY
        .iter()
        .chain(&rights::SETTINGS)
        .fold(launch, |launch, (name, value)| launch.env(name, value));
    if let Some(relay) = relay {
        launch = launch.env("ROWCAST_RELAY", &relay.url(number));
    }
    launch.start().await
}
