//! Attackers of every kind beside honest clients of three tenants, on two servers of one database, while rows are written all the time:
//! whatever the attackers ever received is searched, byte by byte, for what is not theirs, and the honest clients lose nothing.
//!
//! The names of the tenants' rooms and each of their rows hold the tenant's name, so a row, an event or the name of a room that
//! reaches an attacker shows in its bytes.

mod attacks;
mod claims;
mod ended;
mod loot;
mod tap;
mod tenants;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::ledger::Ledger;
use crate::harness::token::{JWT, signed, token};
use crate::harness::trial::{BUSY, fence, judge};
use crate::harness::witness::Witness;
use crate::harness::writers::{Habit, Writers};
use crate::harness::{Database, Launch, Proxy, Server, Stock};
use tap::Tap;
use tenants::{TENANTS, contacts};

/// What the servers check beside a signature.
const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "rowcast";
/// The only pages that may connect.
const PAGE: &str = "https://app.example";
/// Revocations a second, of nobody who is there.
const REVOCATIONS: u64 = 200;

/// Who is attacked. Fields end in this order.
struct Siege {
    lurkers: JoinSet<()>,
    _revoking: JoinSet<()>,
    writers: Writers,
    ledger: Ledger,
    witnesses: Vec<Witness>,
    _networks: Vec<Proxy>,
    /// The attackers' lines, one to each server.
    taps: Vec<Tap>,
    servers: Vec<Server>,
    _stock: Stock,
    database: Database,
}

/// Whose policy it is.
#[derive(Clone, Copy, PartialEq)]
enum Policy {
    /// The one that we ship, which believes the claims.
    Shipped,
    /// An owner's, by a table of members; for some rooms it raises, hangs, or returns null.
    Owned,
}

/// A token of our issuer, for our audience.
fn bearing(subject: &str, claims: &Value) -> String {
    let mut all = claims.clone();
    (all["iss"], all["aud"]) = (json!(ISSUER), json!(AUDIENCE));
    token(subject, &all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_tried_nobody_reads_what_is_not_its_own() {
    Box::pin(run(Policy::Shipped)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_under_a_policy_that_raises_hangs_and_returns_null() {
    Box::pin(run(Policy::Owned)).await;
}

async fn run(policy: Policy) {
    let mut siege = Siege::new(policy).await;
    Box::pin(siege.attack()).await;
    Box::pin(siege.end_rights(policy)).await;
    siege.verdict().await;
}

impl Siege {
    async fn new(policy: Policy) -> Self {
        let database = Database::chat().await;
        if policy == Policy::Owned {
            database.run(tenants::OWNED).await;
        }
        let servers = vec![start(&database, "0").await, start(&database, "0").await];
        let (mut taps, mut networks) = (Vec::new(), Vec::new());
        for server in &servers {
            taps.push(Tap::on(server).await);
            networks.push(Proxy::to(server.address()).await);
        }
        let stock = Stock::start();
        let witnesses = tenants::witnesses(&stock, &networks, &database).await;
        let ledger = Ledger::default();
        let written: Vec<String> = TENANTS.into_iter().flat_map(contacts).collect();
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        let habit = Habit {
            rest: Duration::from_millis(40),
            ..Habit::of(&written)
        };
        let siege = Self {
            lurkers: JoinSet::new(),
            _revoking: revoking(&database).await,
            writers: Writers::start(&database.url, &ledger, &habit),
            ledger,
            witnesses,
            _networks: networks,
            taps,
            servers,
            _stock: stock,
            database,
        };
        siege.ledger.more(60).await;
        siege
    }

    /// Everybody tries everything, on both servers at once.
    async fn attack(&mut self) {
        let loot = loot::gather(&self.servers[0], &self.database).await;
        let plan = attacks::plan(&loot);
        let [first, second] = &self.taps[..] else {
            unreachable!("two servers");
        };
        let (here, there) = tokio::join!(
            attacks::run(&plan, first.address()),
            attacks::run(&plan, second.address())
        );
        // They stay, and hear what comes.
        for mut wire in here.into_iter().chain(there) {
            self.lurkers
                .spawn(async move { while wire.frame_whenever().await.is_some() {} });
        }
        self.assert_nothing_heard();
    }

    fn assert_nothing_heard(&self) {
        for tap in &self.taps {
            assert!(tap.bytes() > 10_000, "the attackers were answered");
            // Whose tokens are revoked is nobody's business either.
            for name in TENANTS.into_iter().chain(["nobody-"]) {
                let heard = tap.heard(name);
                assert_eq!(heard, None, "an attacker heard of {name}");
            }
        }
    }

    /// Attackers heard nothing, and the honest have everything, once.
    async fn verdict(self) {
        self.ledger.more(100).await;
        self.writers.stop().await;
        fence(&self.witnesses, &self.database).await;
        self.assert_nothing_heard();
        let tally = judge(&self.witnesses, &self.ledger, &self.database).await;
        tally.assert_clean();
        assert_eq!(self.ledger.failed(), 0, "{:#?}", self.ledger.failures());
    }
}

/// A server of the siege, on this port.
async fn start(database: &Database, port: &str) -> Server {
    let variables = [
        ("PORT", port),
        ("FRONTEND_URL", PAGE),
        ("ROWCAST_JWT_ISSUER", ISSUER),
        ("ROWCAST_JWT_AUDIENCE", AUDIENCE),
        ("ROWCAST_JWT_COOKIE", "rowcast"),
        ("ROWCAST_POLICY_TIMEOUT", "500ms"),
        ("ROWCAST_POLICY_LEASE", "2s"),
        ("ROWCAST_MAX_READ_RATE", "100000"),
    ];
    let all = JWT.into_iter().chain(BUSY).chain(variables);
    let launch = Launch::serve().database(&database.url);
    let launch = all.fold(launch, |launch, (name, value)| launch.env(name, value));
    launch.start().await
}

/// Revokes people who are not there, as often as we say that it may be done.
async fn revoking(database: &Database) -> JoinSet<()> {
    let mut connection = database.connection().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        for number in 0_u64.. {
            pause.tick().await;
            let many = REVOCATIONS / 20;
            let revoke = format!(
                "select rowcast.revoke('nobody-' || n) from generate_series({}, {}) n",
                number * many,
                number * many + many - 1
            );
            crate::harness::database::run(&mut connection, &revoke).await;
        }
    });
    task
}
