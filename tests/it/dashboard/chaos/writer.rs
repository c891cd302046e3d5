//! Who writes while everything breaks: messages, edits, deletions, and statuses late, repeated and out of order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::PgConnection;
use tokio::time::sleep;

use super::{CONTACTS, WRITING};
use crate::harness::Database;
use crate::harness::database::{run, say, value};
use crate::harness::wait::until_for;

/// One back end. It writes one thing after the other, so that a conversation's order is that of its rows' times.
pub(super) struct Writer {
    seed: u64,
    database: Database,
    deadline: Instant,
    written: AtomicU64,
}

impl Writer {
    /// Its writes follow from the seed. It stops at `deadline`.
    pub(super) fn new(seed: u64, database: &Database, deadline: Instant) -> Self {
        Self {
            seed,
            database: Database::at(database.url.clone()),
            deadline,
            written: AtomicU64::new(0),
        }
    }

    /// How often it wrote.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits for so many more writes, or for the end of all.
    pub(super) async fn more(&self, writes: u64) {
        let enough = self.written() + writes;
        until_for(WRITING * 2, "a few writes", async || {
            (self.written() >= enough || Instant::now() >= self.deadline).then_some(())
        })
        .await;
    }

    /// Writes until the deadline, and returns the ids of what it has deleted.
    pub(super) async fn write(&self) -> Vec<String> {
        let mut random = StdRng::seed_from_u64(!self.seed);
        let mut connection = self.database.connection().await;
        let mut sent = Vec::new();
        let mut deleted = Vec::new();
        while Instant::now() < self.deadline {
            let number = self.written();
            let contact = CONTACTS[random.random_range(0..CONTACTS.len())];
            match random.random_range(0..20) {
                0..8 => {
                    say(&mut connection, contact, &format!("in {number}")).await;
                }
                8..12 => sent.push(queue(&mut connection, contact, number).await),
                12 => {
                    let typing = number.is_multiple_of(2);
                    let typing = format!("select rowcast.typing('{contact}', {typing})");
                    run(&mut connection, &typing).await;
                }
                _ if sent.is_empty() => {}
                13 => {
                    let id = sent.swap_remove(random.random_range(0..sent.len()));
                    let delete = format!("delete from messages where id = '{id}'");
                    run(&mut connection, &delete).await;
                    deleted.push(id);
                }
                14 => {
                    let id = &sent[random.random_range(0..sent.len())];
                    let edit =
                        format!("update messages set body = 'edited {number}' where id = '{id}'");
                    run(&mut connection, &edit).await;
                }
                _ => {
                    let id = &sent[random.random_range(0..sent.len())];
                    let status = ["sent", "delivered", "read", "failed"][random.random_range(0..4)];
                    let report = format!(
                        "insert into message_statuses (message_id, status) values ('{id}', '{status}')"
                    );
                    run(&mut connection, &report).await;
                }
            }
            self.written.fetch_add(1, Ordering::Relaxed);
            // A busy chat's pace, not a benchmark's.
            sleep(Duration::from_millis(random.random_range(5..60))).await;
        }
        deleted
    }
}

/// An outbound message that nobody has taken yet.
async fn queue(connection: &mut PgConnection, contact: &str, number: u64) -> String {
    let insert = format!(
        "insert into messages (contact_id, direction, author, body, status)
        values ('{contact}', 'outbound', 'agent', 'out {number}', 'queued') returning id::text"
    );
    value(connection, &insert).await
}
