//! What a server finds out about itself in the database: its rights, row security, whether writes are taken, who locks it out, whether
//! writers wake it, whether a join can be stored.
//!
//! Writes each outcome into [`Checks`]. Refuses to judge where the database can't be reached: the listener and the reader say so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::disk::{MAKE_ROOM, NO_ROOM_MEANS, WRITE_PAGES};
use super::fault::{cause_of, is_about_the_connection, is_disk_full};
use super::link::is_standby;
use super::lock_holder::LockHolder;
use super::locks::{HELD, Held, lasting};
use super::pools::Pool;
use super::reader_key::{KEY_HOLDER, key_line};
use super::retry::within;
use super::rights::{Hidden, Missing, hidden_sql, missing_sql};
use super::sessions::rehearse;
use super::vacuum::{Bloat, VacuumWatch, bloat_sql};
use crate::status::{Check, Checks, FoundBy};

/// The longest wait for an answer: a connection that falls silent must not end the checks.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same where a probe waits for it.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// Said where the trigger on the outbox is gone.
pub(super) const NO_WAKE: &str = "the trigger wake is not on rowcast.events, so nobody is woken and events wait for the poll (ROWCAST_POLL)";
/// The statement that mends it.
pub(super) const MAKE_WAKE: &str = "create trigger wake after insert on rowcast.events for each statement execute function rowcast.wake();";

/// Said of a standby, whether it answers or its connections are refused by our own pools.
const NO_WRITES_STANDBY: &str =
    "the database takes no writes: this is a standby; let DATABASE_URL lead to the primary";

/// So many looks in a row find the readers' key with the same holder before that is a fault.
const KEY_LOOKS: u32 = 3;

/// One row: what the catalog says.
#[derive(serde::Deserialize)]
struct Look {
    standby: bool,
    read_only: bool,
    missing: Vec<Missing>,
    hidden: Vec<Hidden>,
    key_holder: Option<LockHolder>,
    held: Vec<Held>,
    /// The trigger that wakes is there, or its table is not. One that is disabled is the poll-only mode.
    wakes: bool,
    bloat: Option<Bloat>,
}

/// Looks, and writes down what it finds.
pub(crate) struct SelfCheck {
    pool: Pool,
    checks: Checks,
    look: String,
    /// Who had the readers' key alone at the last look, and for how many looks; empty if nobody had.
    key_holder: Mutex<(String, u32)>,
    /// The locks that the last look found.
    held: Mutex<Vec<Held>>,
    /// The last look found that a right is missing without which sessions can't be stored or taken up again.
    lacks_session_right: AtomicBool,
    /// Whether the rights matter that presence takes.
    keeps_presence: bool,
    vacuum: VacuumWatch,
}

impl SelfCheck {
    /// Over the pool that sessions are stored with.
    pub(crate) fn new(pool: Pool, checks: Checks, keeps_presence: bool) -> Self {
        let look = format!(
            "select json_build_object(
               'standby', pg_is_in_recovery(),
               'read_only', current_setting('transaction_read_only')::bool,
               'missing', (select coalesce(json_agg(m), '[]') from ({}) m),
               'hidden', (select coalesce(json_agg(h), '[]') from ({}) h),
               'key_holder', (select row_to_json(k.*) from ({KEY_HOLDER}) k),
               'bloat', (select row_to_json(b.*) from ({}) b),
               'held', (select coalesce(json_agg(h), '[]') from ({HELD}) h),
               'wakes', (select bool_or(t.oid is not null) is not false
                         from pg_class c left join pg_trigger t on t.tgrelid = c.oid and t.tgname = 'wake'
                         where c.relname = 'events' and c.relnamespace = (select oid from pg_namespace where nspname = 'rowcast')))::text",
            missing_sql(),
            hidden_sql(),
            bloat_sql()
        );
        Self {
            pool,
            checks,
            look,
            key_holder: Mutex::default(),
            held: Mutex::default(),
            lacks_session_right: AtomicBool::new(false),
            keeps_presence,
            vacuum: VacuumWatch::default(),
        }
    }

    /// Looks, and sends a probe in the same statement. False: that failed, and no probe was sent.
    pub(crate) async fn look_and_probe(&self, probe: &str) -> bool {
        let look = format!("{} from pg_notify('rowcast_probe', $1)", self.look);
        let look = sqlx::query_scalar::<_, String>(AssertSqlSafe(look)).bind(probe);
        let answer = within(&self.pool, PROBE_PATIENCE, async |connection| {
            look.fetch_one(connection).await
        })
        .await;
        let is_sent = answer.is_ok();
        if let Ok(answer) = answer {
            self.note(&answer);
        }
        is_sent
    }

    /// Asks the catalog. Writes nothing to the database.
    pub(crate) async fn look(&self) {
        let look = sqlx::query_scalar::<_, String>(AssertSqlSafe(self.look.clone()));
        let answer = within(&self.pool, PATIENCE, async |connection| {
            look.fetch_one(connection).await
        })
        .await;
        match answer {
            Ok(answer) => self.note(&answer),
            Err(error) => {
                if is_standby(&error) {
                    self.found(Check::Writes, Some(NO_WRITES_STANDBY.to_owned()));
                }
                tracing::debug!("the self-check could not look: {error}");
                // What waits for a lock can't say who holds it.
                self.look_for_locks().await;
            }
        }
    }

    /// Takes note of what a look found, which is one row of JSON.
    fn note(&self, found: &str) {
        let look = match serde_json::from_str::<Look>(found) {
            Ok(look) => look,
            Err(error) => return say_unreadable(&error),
        };
        self.found(Check::Writes, look.without_writes());
        let hidden = look.hidden.iter();
        let hidden = hidden.map(|hidden| format!("{}: {}", hidden.said(), hidden.remedy()));
        self.found(Check::RowSecurity, joined(&hidden.collect::<Vec<_>>()));
        self.found_locks(look.held);
        self.found(Check::Vacuum, self.vacuum.fault(look.bloat.as_ref()));
        let silent = format!("{NO_WAKE}: {MAKE_WAKE}");
        self.found(Check::Wake, (!look.wakes).then_some(silent));
        let is_held = self.holds_on(look.key_holder.as_ref());
        let holder = look.key_holder.filter(|_| is_held);
        self.found(Check::ReaderKey, holder.as_ref().map(key_line));
        for check in [
            Check::Rights,
            Check::Sessions,
            Check::Retention,
            Check::History,
            Check::Presence,
        ] {
            if check == Check::Presence && !self.keeps_presence {
                continue;
            }
            let missing = look.missing.iter().filter(|m| m.right().check == check);
            let lines: Vec<_> = missing.map(Missing::line).collect();
            if check == Check::Sessions {
                self.lacks_session_right
                    .store(!lines.is_empty(), Ordering::Relaxed);
                // Whether sessions can be stored is for the rehearsal to say, as long as no right is missing.
                if lines.is_empty() {
                    continue;
                }
            }
            self.found(check, joined(&lines));
        }
    }

    /// Whether the same holder has had the readers' key for some looks. Writers have it for a moment when they test it.
    fn holds_on(&self, holder: Option<&LockHolder>) -> bool {
        let holder = holder.map_or("", |holder| &holder.holder);
        let mut last = self
            .key_holder
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.1 = if last.0 == holder { last.1 + 1 } else { 1 };
        holder.clone_into(&mut last.0);
        !holder.is_empty() && last.1 >= KEY_LOOKS
    }

    /// Does what a join does, and takes it back.
    pub(crate) async fn rehearse(&self) {
        match rehearse(&self.pool).await {
            Ok(()) => {
                // A join does not take every right: what a resume needs is for the look to say.
                if !self.lacks_session_right.load(Ordering::Relaxed) {
                    self.found(Check::Sessions, None);
                }
                self.checks.pass(Check::Sessions, FoundBy::Operation);
            }
            Err(error) if is_about_the_connection(&error) => {
                tracing::debug!("the self-check could not rehearse a join: {error}");
            }
            // What the look found says more than Postgres does.
            Err(_) if self.checks.found(Check::Sessions, FoundBy::SelfCheck) => {}
            Err(error) => self.found(
                Check::Sessions,
                Some(format!(
                    "the server can't store sessions, and refuses joins: {}",
                    cause_of(&error)
                )),
            ),
        }
    }

    /// Finds out whether the disk of Postgres is full.
    pub(crate) async fn write_pages(&self) {
        let written = within(&self.pool, PATIENCE, async |connection| {
            connection.attempt_at_once(WRITE_PAGES).await?.map(|_| ())
        })
        .await;
        match written {
            Ok(()) => self.found(Check::Disk, None),
            Err(error) if is_disk_full(&error) => {
                let cause = cause_of(&error);
                let cause = format!("{cause}: {MAKE_ROOM}. {NO_ROOM_MEANS}");
                self.found(Check::Disk, Some(cause));
            }
            Err(error) => tracing::debug!("the self-check could not write pages: {error}"),
        }
    }

    /// Asks for the locks alone, which never waits for one.
    async fn look_for_locks(&self) {
        let ask = format!("select coalesce(json_agg(h), '[]')::text from ({HELD}) h");
        let ask = sqlx::query_scalar::<_, String>(AssertSqlSafe(ask));
        let answer = within(&self.pool, PATIENCE, async |connection| {
            ask.fetch_one(connection).await
        })
        .await;
        if let Ok(answer) = answer {
            match serde_json::from_str(&answer) {
                Ok(held) => self.found_locks(held),
                Err(error) => say_unreadable(&error),
            }
        }
    }

    fn found_locks(&self, now: Vec<Held>) {
        let held = self.lasting(now);
        let held = held
            .iter()
            .map(|held| format!("{}: {}", held.said(), held.remedy()));
        self.found(Check::Locks, joined(&held.collect::<Vec<_>>()));
    }

    /// The locks that the last look found, too.
    fn lasting(&self, now: Vec<Held>) -> Vec<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = lasting(&held, &now);
        *held = now;
        lasts
    }

    fn found(&self, check: Check, fault: Option<String>) {
        match fault {
            Some(cause) => self.checks.fail(check, FoundBy::SelfCheck, cause),
            None => self.checks.pass(check, FoundBy::SelfCheck),
        }
    }
}

impl Look {
    /// Why the database takes no writes, if it takes none.
    fn without_writes(&self) -> Option<String> {
        if self.standby {
            return Some(NO_WRITES_STANDBY.to_owned());
        }
        let why = "the database takes no writes: default_transaction_read_only is on for this role or database; \
             alter role or alter database ... reset default_transaction_read_only";
        self.read_only.then(|| why.to_owned())
    }
}

/// A server serves on without a look: it must not end because a catalog says what nobody thought of.
fn say_unreadable(error: &serde_json::Error) {
    tracing::error!("the self-check can't read what the database says of itself: {error}");
}

fn joined(lines: &[String]) -> Option<String> {
    (!lines.is_empty()).then(|| lines.join("; "))
}
