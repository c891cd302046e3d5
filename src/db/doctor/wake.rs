//! Whether a commit is heard at once: LISTEN and NOTIFY, the trigger that wakes, and the servers that listen.

use serde::Deserialize;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::units::lasting;
use super::{Answer, Doctor, Finding, PATIENCE, Unanswered, open};
use crate::db::lock_holder::LockHolder;
use crate::db::numbers::sleeping_reader_key;
use crate::db::reader_key::{KEY_HOLDER, KEY_SHARERS};
use crate::db::self_check::MAKE_WAKE;
use crate::db::servers::{SERVERS, ServerEntry};
use crate::db::{Heard, Listen, cause_of};

/// Between two looks at who holds the readers' key.
const KEY_PAUSE: Duration = Duration::from_millis(200);

impl Doctor {
    /// Sends a notification as a server's self-probe does, and waits until it comes round.
    pub(super) async fn listen(&mut self) {
        if self.shared {
            // Tried, it would stay in force on a connection that others get next.
            self.add(Finding::warning(
                "listen",
                "not tried, since the pooler shares its connections",
                "Nobody is woken: events come with the poll (ROWCAST_POLL).",
            ));
            return;
        }
        let found = match timeout(PATIENCE, self.round_trip()).await {
            Ok(found) => found,
            Err(_) => Ok(None),
        };
        let means = "Nobody is woken: events wait for the poll, and /readyz says 503. Between here and Postgres is a proxy that \
             drops what a server sends by itself.";
        let found = found.map(|took| {
            vec![match took {
                Some(took) => Finding::ok(
                    "listen",
                    format!("a notification comes round in {} ms", took.as_millis()),
                ),
                None => Finding::failure(
                    "listen",
                    "a notification of our own did not come round",
                    means,
                )
                .paste("# let DATABASE_URL lead to Postgres itself"),
            }]
        });
        self.conclude("listen", found);
    }

    async fn round_trip(&mut self) -> Answer<Option<std::time::Duration>> {
        let mut listen = Listen::begin(&self.database)
            .await
            .map_err(|error| Unanswered(format!("LISTEN failed: {error}")))?;
        let mut sender = open(&self.database)
            .await
            .map_err(|error| Unanswered(cause_of(&error)))?;
        let payload = format!("doctor:{:016x}", rand::random::<u64>());
        let begun = Instant::now();
        let deadline = begun + PATIENCE / 2;
        sqlx::query("select pg_catalog.pg_notify('rowcast_probe'::pg_catalog.text, $1)")
            .persistent(false)
            .bind(&payload)
            .execute(&mut sender)
            .await
            .map_err(|error| Unanswered(cause_of(&error)))?;
        while let Ok(heard) = timeout_at(deadline, listen.next()).await {
            let heard = heard.map_err(|error| Unanswered(error.to_string()))?;
            if heard.contains(&Heard::Probe(payload.clone())) {
                return Ok(Some(begun.elapsed()));
            }
        }
        Ok(None)
    }

    /// Whether the outbox wakes anybody, and whether anybody is there to be woken.
    pub(super) async fn wake(&mut self) {
        #[derive(Deserialize)]
        struct Wake {
            enabled: Option<String>,
            asleep: i64,
        }
        let key = sleeping_reader_key!().replace(", ", " and objid = ");
        let query = format!(
            "select (select t.tgenabled::text from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
                     where n.nspname = 'rowcast' and c.relname = 'events' and t.tgname = 'wake') as enabled,
                    (select count(*) from pg_locks where locktype = 'advisory' and classid = {key}
                     and database = (select oid from pg_database where datname = current_database())) as asleep"
        );
        let asked = self.row(&query).await;
        let found = asked.map(|Wake { enabled, asleep }| {
            let enable = "alter table rowcast.events enable trigger wake;";
            let waits = "Nobody is notified, so each event waits for the poll (ROWCAST_POLL).";
            vec![match enabled.as_deref() {
                None => {
                    Finding::failure("wake", "the trigger wake is not on rowcast.events", waits)
                        .paste(MAKE_WAKE)
                }
                Some("D" | "R") => {
                    let means =
                        format!("{waits} That is the poll-only mode; leave it if it is meant.");
                    Finding::warning("wake", "the trigger wake is disabled", means).paste(enable)
                }
                Some(_) => Finding::ok(
                    "wake",
                    format!("writers wake whoever sleeps; {asleep} asleep now"),
                ),
            }]
        });
        self.conclude("wake", found);
        let held = self.reader_key().await;
        self.conclude("reader_key", held);
    }

    /// Whether somebody who is no reader holds the readers' key.
    async fn reader_key(&mut self) -> Answer<Vec<Finding>> {
        let first: Vec<LockHolder> = self.rows(KEY_HOLDER).await?;
        // Writers have it for a moment when they test it.
        sleep(KEY_PAUSE).await;
        let second: Vec<LockHolder> = self.rows(KEY_HOLDER).await?;
        let mut found = Vec::new();
        if let (Some(first), Some(second)) = (first.first(), second.first())
            && first.holder == second.holder
        {
            let said = format!("{} keeps readers from it", second.who);
            let means = "Readers poll every 200 ms instead of sleeping, and every writer notifies. Nothing is lost.";
            let finding = Finding::warning("reader_key", said, means);
            found.push(finding.paste(second.remedy.clone()));
        }
        for sharer in self.rows::<LockHolder>(KEY_SHARERS).await? {
            let said = format!("{} holds it and is no reader", sharer.who);
            let means =
                "Writers take it for a reader that sleeps, and notify each time. Nothing is lost.";
            let finding = Finding::warning("reader_key", said, means);
            found.push(finding.paste(sharer.remedy));
        }
        if found.is_empty() {
            found.push(Finding::ok("reader_key", "held by readers alone"));
        }
        Ok(found)
    }

    /// The servers on this database. Each has one connection of a reader.
    pub(super) async fn servers(&mut self) {
        let asked = self.rows(SERVERS).await;
        let found = asked.map(|servers: Vec<ServerEntry>| {
            let each = servers
                .iter()
                .map(|s| format!("{} for {}", s.address, lasting(s.since)));
            let each: Vec<_> = each.collect();
            vec![if each.is_empty() {
                Finding::ok("servers", "none reads this database")
            } else {
                Finding::ok(
                    "servers",
                    format!("{} on this database: {}", each.len(), each.join(", ")),
                )
            }]
        });
        self.conclude("servers", found);
    }
}
