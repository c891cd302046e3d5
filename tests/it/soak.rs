//! Everything breaks at random, for as long as one likes: `make soak MINUTES=20 SEED=1`.
//!
//! Among the other tests it lasts a few seconds. It prints its seed first and its tally last; a seed gives the same
//! faults in the same order, though never at the same moments.

mod faults;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::harness::ledger::Ledger;
use crate::harness::trial::{BUSY, fence, judge};
use crate::harness::witness::Witness;
use crate::harness::writers::{Habit, Hand, Writers};
use crate::harness::{Database, Kind, Launch, Postgres, Proxy, Server, Stock};

/// Long enough for a few faults.
const SMOKE: Duration = Duration::from_secs(6);
const CONTACTS: [&str; 5] = ["a", "b", "c", "d", "nobody"];

/// All that can break, and who must not notice. Fields end in this order.
struct Soak {
    random: StdRng,
    witnesses: Vec<Witness>,
    writers: Writers,
    open: Vec<Open>,
    ledger: Ledger,
    networks: Vec<Network>,
    servers: Vec<Server>,
    _stock: Stock,
    database: Database,
    /// The database as the servers' role sees it.
    server_url: String,
    postgres: Postgres,
    faults: u64,
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
    let minutes = setting("SOAK_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let seed = setting("SOAK_SEED").unwrap_or_else(|| u64::from(now.subsec_nanos()));
    eprintln!("seed {seed}");
    let mut soak = Soak::new(seed).await;
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
    soak.writers.stop().await;
    fence(&soak.witnesses, &soak.database).await;
    let tally = judge(&soak.witnesses, &soak.ledger, &soak.database).await;
    eprintln!(
        "seed {seed}, {} s, {faults} faults",
        began.elapsed().as_secs()
    );
    tally.assert_clean();
    assert!(faults > 3, "{faults} faults");
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long, and with which seed, is said from outside"
)]
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number: {value}")),
    )
}

impl Soak {
    async fn new(seed: u64) -> Self {
        let (postgres, database) = Postgres::with_chat().await;
        let server_url = server_role(&database).await;
        let mut servers = Vec::new();
        let mut networks = Vec::new();
        for _ in 0..2 {
            servers.push(start(&server_url).await);
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
            witnesses.push(Witness::open(&stock, network.address(), kind, rooms).await);
        }
        let ledger = Ledger::default();
        let habit = Habit {
            seed,
            ..Habit::of(&CONTACTS)
        };
        Self {
            random: StdRng::seed_from_u64(seed),
            witnesses,
            writers: Writers::start(&database, &ledger, &habit),
            open: Vec::new(),
            ledger,
            networks,
            servers,
            _stock: stock,
            database,
            server_url,
            postgres,
            faults: 0,
        }
    }
}

/// A role that may do what a server must, so that a right of it can be taken away. Returns its URL.
async fn server_role(database: &Database) -> String {
    database.run("create role soak_server login").await;
    Launch::command(["grant", "soak_server", "--apply"])
        .database(&database.url)
        .succeed()
        .await;
    database.url_as("soak_server")
}

/// A server of that role.
async fn start(url: &str) -> Server {
    let launch = Launch::serve().database(url);
    let launch = BUSY
        .iter()
        .fold(launch, |launch, (name, value)| launch.env(name, value));
    launch.start().await
}
