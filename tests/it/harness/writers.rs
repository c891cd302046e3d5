//! Writers that write all the time, as back ends do: inserts, imports, transactions, roll-backs, savepoints, statuses.
//!
//! Each has a connection of its own and another as soon as that fails. They never stop for a fault; what they could not
//! write is counted, and what they don't know to be committed the tables will tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::ledger::{Key, Ledger, status, uuid};
use super::wait::until_for;

/// How a set of writers writes.
#[derive(Clone)]
pub(crate) struct Habit {
    pub(crate) contacts: Vec<String>,
    pub(crate) writers: u64,
    /// Each rests between two writes for up to this long.
    pub(crate) rest: Duration,
    /// The length of a body, in bytes.
    pub(crate) body_bytes: usize,
    pub(crate) seed: u64,
}

impl Habit {
    /// A few hundred events a second for these contacts.
    pub(crate) fn of(contacts: &[&str]) -> Self {
        Self {
            contacts: contacts.iter().map(ToString::to_string).collect(),
            writers: 3,
            rest: Duration::from_millis(20),
            body_bytes: 40,
            seed: 1,
        }
    }
}

/// Writers at work. Dropped, they end where they are.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    lives: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Writers {
    /// Starts them, each on a connection of its own to this URL.
    pub(crate) fn start(url: &str, ledger: &Ledger, habit: &Habit) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let lives = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for number in 0..habit.writers {
            let mut writer = Writer {
                url: url.to_owned(),
                ledger: ledger.clone(),
                habit: habit.clone(),
                random: StdRng::seed_from_u64(habit.seed.wrapping_mul(1_000) + number),
                hand: None,
                sent: Vec::new(),
                lives: Arc::clone(&lives),
                life: 0,
            };
            let stop = Arc::clone(&stop);
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    writer.write_once().await;
                }
            });
        }
        Self {
            stop,
            lives,
            _tasks: tasks,
        }
    }

    /// The database was set back: what they have written may be gone, and is not written to any more.
    pub(crate) fn forget(&self) {
        self.lives.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets each end what it is at.
    pub(crate) async fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        until_for(Duration::from_secs(60), "the writers to end", async || {
            (Arc::strong_count(&self.stop) == 1).then_some(())
        })
        .await;
    }
}

struct Writer {
    url: String,
    ledger: Ledger,
    habit: Habit,
    random: StdRng,
    hand: Option<Hand>,
    /// Messages of this writer that are committed for sure, with their status.
    sent: Vec<Key>,
    /// How often the database was set back, now and when those were written.
    lives: Arc<AtomicU64>,
    life: u64,
}

impl Writer {
    async fn write_once(&mut self) {
        let life = self.lives.load(Ordering::Relaxed);
        if life != self.life {
            self.life = life;
            self.sent.clear();
        }
        if self.hand.is_none() {
            self.hand = Hand::on(&self.url, &self.ledger).await;
        }
        let Some(hand) = &mut self.hand else {
            self.ledger.fails("no connection".to_owned());
            sleep(Duration::from_millis(20)).await;
            return;
        };
        let written = write(hand, &self.habit, &mut self.random, &mut self.sent);
        // A Postgres that hangs is a Postgres that failed.
        let written = timeout(Duration::from_secs(20), written).await;
        let failure = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer".to_owned()),
        };
        if let Some(failure) = failure {
            self.ledger.fails(failure);
            // Whether its transaction was committed is unknown, so nothing may be said of what comes after it either.
            self.hand = None;
        }
        let rest = u64::try_from(self.habit.rest.as_micros()).expect("short");
        sleep(Duration::from_micros(self.random.random_range(0..=rest))).await;
    }
}

/// One thing of those that back ends do.
async fn write(
    hand: &mut Hand,
    habit: &Habit,
    random: &mut StdRng,
    sent: &mut Vec<Key>,
) -> sqlx::Result<()> {
    let contact = habit.contacts[random.random_range(0..habit.contacts.len())].clone();
    let other = habit.contacts[random.random_range(0..habit.contacts.len())].clone();
    let body = "x".repeat(habit.body_bytes);
    match random.random_range(0..100) {
        0..45 => {
            let key = hand.message(&contact, &body).await?;
            hand.committed(&[key]);
            sent.push(key);
        }
        // A transaction over two rooms.
        45..60 => {
            hand.run("begin").await?;
            let mut keys = Vec::new();
            for number in 0..random.random_range(2..6) {
                let to = if number % 2 == 0 { &contact } else { &other };
                keys.push(hand.message(to, &body).await?);
            }
            keys.push(hand.report(keys[0]).await?);
            hand.run("commit").await?;
            hand.committed(&keys);
        }
        // One statement with many rows.
        60..67 => {
            let count = random.random_range(2..12);
            let keys = hand.import(&contact, &body, count).await?;
            hand.committed(&keys);
        }
        67..75 => {
            hand.run("begin").await?;
            hand.message(&contact, &body).await?;
            hand.message(&other, &body).await?;
            hand.run("rollback").await?;
        }
        75..83 => {
            hand.run("begin").await?;
            let first = hand.message(&contact, &body).await?;
            hand.run("savepoint s").await?;
            hand.message(&contact, &body).await?;
            hand.report(first).await?;
            hand.run("rollback to s").await?;
            let last = hand.message(&contact, &body).await?;
            hand.run("commit").await?;
            hand.committed(&[first, last]);
        }
        _ if sent.is_empty() => {}
        kind => {
            let place = random.random_range(0..sent.len());
            // Not touched again if this fails: its status would be unknown.
            let before = sent.swap_remove(place);
            let key = if kind % 2 == 0 {
                hand.report(before).await?
            } else {
                hand.mark(before).await?
            };
            hand.committed(&[key]);
            if key.rank < 2 {
                sent.push(key);
            }
        }
    }
    // Some are never touched again.
    if sent.len() > 50 {
        sent.swap_remove(random.random_range(0..50));
    }
    Ok(())
}

/// One connection that writes into the ledger what it writes into the tables.
pub(crate) struct Hand {
    connection: PgConnection,
    ledger: Ledger,
    number: u64,
    place: u64,
    random: StdRng,
}

impl Hand {
    /// A connection, if Postgres answers.
    pub(crate) async fn on(url: &str, ledger: &Ledger) -> Option<Self> {
        let connection = timeout(Duration::from_secs(10), PgConnection::connect(url)).await;
        Some(Self {
            connection: connection.ok()?.ok()?,
            ledger: ledger.clone(),
            number: ledger.number(),
            place: 0,
            random: rand::make_rng(),
        })
    }

    /// Runs a statement that writes no event.
    pub(crate) async fn run(&mut self, sql: &str) -> sqlx::Result<()> {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.connection.execute(statement).await.map(drop)
    }

    /// Writes a message.
    pub(crate) async fn message(&mut self, contact: &str, body: &str) -> sqlx::Result<Key> {
        Ok(self.import(contact, body, 1).await?[0])
    }

    /// Writes many with one statement.
    pub(crate) async fn import(
        &mut self,
        contact: &str,
        body: &str,
        count: usize,
    ) -> sqlx::Result<Vec<Key>> {
        let mut keys = Vec::with_capacity(count);
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            let message = self.random.random();
            let key = Key { message, rank: 0 };
            self.begins(key);
            rows.push(format!(
                "('{}', '{contact}', '{}.{} for {contact} {body}')",
                uuid(message),
                self.number,
                self.place
            ));
            keys.push(key);
        }
        let insert = "insert into messages (id, contact_id, body) values";
        self.run(&format!("{insert} {}", rows.join(", "))).await?;
        Ok(keys)
    }

    /// Reports the next status, as a provider's webhook does.
    pub(crate) async fn report(&mut self, before: Key) -> sqlx::Result<Key> {
        let key = self.next(before);
        let id = uuid(key.message);
        let status = status(key.rank);
        let insert = "insert into message_statuses (message_id, status) values";
        self.run(&format!("{insert} ('{id}', '{status}')")).await?;
        Ok(key)
    }

    /// Sets the next status in the message itself.
    async fn mark(&mut self, before: Key) -> sqlx::Result<Key> {
        let key = self.next(before);
        let (id, status) = (uuid(key.message), status(key.rank));
        let update = format!("update messages set status = '{status}' where id = '{id}'");
        self.run(&update).await?;
        // Only the last status is in the table; for this one to be found there it is reported too, which says nothing.
        let insert = "insert into message_statuses (message_id, status) values";
        self.run(&format!("{insert} ('{id}', '{status}')")).await?;
        Ok(key)
    }

    /// What was written since has been committed.
    pub(crate) fn committed(&self, keys: &[Key]) {
        self.ledger.over(keys);
    }

    fn next(&mut self, before: Key) -> Key {
        let key = Key {
            rank: before.rank + 1,
            ..before
        };
        self.begins(key);
        key
    }

    fn begins(&mut self, key: Key) {
        self.place += 1;
        self.ledger.begins(key, self.number, self.place);
    }
}
