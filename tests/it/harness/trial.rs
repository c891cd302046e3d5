//! The scene of a fault: writers that never stop, clients of every kind behind a network, and a verdict at the end.

use std::time::Duration;

use super::company::Company;
use super::database::{Database, run};
use super::ledger::{Ledger, truth};
use super::line::Kind;
use super::proxy::Proxy;
use super::server::Server;
use super::stock::Stock;
use super::tally::Tally;
use super::wait::{until, until_for};
use super::witness::{View, Witness};
use super::writers::{Habit, Writers};
use tokio::time::sleep;

/// All clients of a trial have one address, and some do more in a second than a person would.
pub(crate) const BUSY: [(&str, &str); 3] = [
    ("ROWCAST_MAX_HTTP_RATE", "10000"),
    ("ROWCAST_MAX_READ_RATE", "100000"),
    ("ROWCAST_MAX_EVENT_RATE", "1000"),
];

/// Writers, clients, a network, a server and a database. Fields end in this order.
pub(crate) struct Trial {
    pub(crate) witnesses: Vec<Witness>,
    writers: Writers,
    pub(crate) ledger: Ledger,
    pub(crate) network: Proxy,
    pub(crate) server: Server,
    _company: Company,
    pub(crate) stock: Stock,
    pub(crate) database: Database,
    variables: Vec<(String, String)>,
}

/// The contacts that are written to. Nobody listens to the last.
const CONTACTS: [&str; 4] = ["a", "b", "c", "nobody"];

impl Trial {
    /// With every default and a client of each kind.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these variables set for every server.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(Database::chat().await, variables, &Kind::ALL).await
    }

    /// On a database that the test brings, with clients of these kinds.
    pub(crate) async fn on(database: Database, variables: &[(&str, &str)], kinds: &[Kind]) -> Self {
        let habit = Habit::of(&CONTACTS);
        Self::written(database, variables, kinds, &habit).await
    }

    /// With writers of that habit.
    pub(crate) async fn written(
        database: Database,
        variables: &[(&str, &str)],
        kinds: &[Kind],
        habit: &Habit,
    ) -> Self {
        let mut variables = [&BUSY[..], variables].concat();
        let company = Company::of(&database, &variables).await;
        let relay = company.relay();
        variables.extend(relay.iter().map(|url| ("ROWCAST_RELAY", url.as_str())));
        let server = Server::with(&database, &variables).await;
        let network = Proxy::to(server.address()).await;
        let stock = Stock::start();
        let mut witnesses = Vec::new();
        for (number, kind) in kinds.iter().enumerate() {
            // Everybody shares `a`; the others are shared by some.
            let rooms = [&["a", "b"][..], &["a", "c"], &["a", "b", "c"]][number % 3];
            witnesses.push(Witness::open(&stock, network.address(), *kind, rooms).await);
        }
        let ledger = Ledger::default();
        let writers = Writers::start(&database.url, &ledger, habit);
        let trial = Self {
            witnesses,
            writers,
            ledger,
            network,
            server,
            _company: company,
            stock,
            database,
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        trial.flows().await;
        trial
    }

    /// Waits until a good number of events more were written, and some of them were seen by everybody.
    pub(crate) async fn flows(&self) {
        let before: Vec<_> = self
            .witnesses
            .iter()
            .map(|each| each.read(|view| view.events))
            .collect();
        self.ledger.more(60).await;
        for (witness, before) in self.witnesses.iter().zip(before) {
            witness
                .until("to see events", |view| view.events >= before + 10)
                .await;
        }
    }

    /// A server of the same kind as the first, on the same database.
    pub(crate) async fn another(&self) -> Server {
        let variables: Vec<_> = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Server::with(&self.database, &variables).await
    }

    /// Puts a new server where the one that ended was.
    pub(crate) async fn replace(&mut self) {
        self.server = self.another().await;
        self.network.lead(self.server.address());
    }

    /// Ends every connection, until every client has noticed: between two polls there is nothing to be ended.
    pub(crate) async fn cut(&self) {
        let mut left: Vec<(&Witness, u64)> = self.losses();
        loop {
            left.retain(|(witness, lost)| {
                witness.read(|view| view.connected && view.lost == *lost)
            });
            if left.is_empty() {
                return;
            }
            self.network.cut();
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Closes the network, and waits until every client has noticed.
    pub(crate) async fn away(&self) {
        let before = self.losses();
        self.network.close(true);
        noticed(&before).await;
    }

    /// Kills the server, and waits until every client has noticed.
    pub(crate) async fn crash(&self) {
        let before = self.losses();
        self.server.crash().await;
        noticed(&before).await;
    }

    /// Each client, with how often it has lost its connection so far.
    pub(crate) fn losses(&self) -> Vec<(&Witness, u64)> {
        let witnesses = self.witnesses.iter();
        witnesses
            .map(|witness| (witness, witness.read(|view| view.lost)))
            .collect()
    }

    /// Waits until each client is connected and in its rooms.
    pub(crate) async fn back(&self) {
        for witness in &self.witnesses {
            witness.settled().await;
        }
    }

    /// Ends our own backends, every one.
    pub(crate) async fn terminate_backends(&self) {
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                    where datname = current_database() and application_name like 'rowcast%'";
        self.database.run(kill).await;
    }

    /// Stops the writers and waits until every client has seen what came last.
    pub(crate) async fn quiet(&self) {
        self.writers.stop().await;
        fence(&self.witnesses, &self.database).await;
    }

    /// Stops the writers, waits until every client has seen what came last, and judges.
    pub(crate) async fn verdict(self) -> Tally {
        self.quiet().await;
        judge(&self.witnesses, &self.ledger, &self.database).await
    }

    /// The verdict where every client was resumed each time and nobody had to reload.
    pub(crate) async fn complete(self) -> Tally {
        let tally = self.verdict().await;
        tally.assert_clean();
        assert_eq!(
            (tally.fresh, tally.resyncs),
            (0, 0),
            "all were resumed: {tally}"
        );
        tally
    }
}

/// Waits until each of these has lost its connection once more, or has none to lose.
pub(crate) async fn noticed(before: &[(&Witness, u64)]) {
    for (witness, lost) in before {
        witness
            .until("to notice", |view| view.lost > *lost || !view.connected)
            .await;
    }
}

/// Compares what every client has with the tables.
pub(crate) async fn judge(witnesses: &[Witness], ledger: &Ledger, database: &Database) -> Tally {
    let truth = truth(database).await;
    let marks = ledger.all();
    let mut tally = Tally::default();
    tally.written = truth.values().map(|events| events.len() as u64).sum();
    for (number, witness) in witnesses.iter().enumerate() {
        let who = format!("{:?} client {number}", witness.kind);
        tally.judge(&who, &witness.view(), &truth, &marks);
    }
    eprintln!("{tally}");
    tally
}

/// Writes a last event to each room until every client has seen one in each of its rooms.
pub(crate) async fn fence(witnesses: &[Witness], database: &Database) {
    for witness in witnesses {
        witness.settled().await;
    }
    let before: Vec<View> = witnesses.iter().map(Witness::view).collect();
    let behind = || {
        let pairs = witnesses.iter().zip(&before);
        let late = pairs.filter(|(witness, before)| {
            witness.read(|view| {
                let mut rooms = view.rooms.iter();
                rooms.any(|(contact, room)| room.fences <= before.rooms[contact].fences)
            })
        });
        late.map(|(witness, _)| (witness.kind, witness.view()))
            .collect::<Vec<_>>()
    };
    let write = "select rowcast.emit('conversation:' || c, 'fence', json_build_object('contactId', c)) \
                 from (select distinct contact_id c from messages) m";
    // Somebody who had to reload while the first was written found it in no history.
    for round in 1.. {
        until("a fence to be written", async || {
            let mut connection = database.pool.acquire().await.ok()?;
            run(&mut *connection, write).await;
            Some(())
        })
        .await;
        let deadline = Duration::from_secs(if round < 3 { 10 } else { 60 });
        let seen = until_for(deadline + Duration::from_secs(1), "", async || {
            behind().is_empty().then_some(true)
        });
        if tokio::time::timeout(deadline, seen).await.is_ok() {
            return;
        }
        assert!(
            round < 3,
            "these clients don't see what is written any more: {:#?}",
            behind()
        );
    }
}
