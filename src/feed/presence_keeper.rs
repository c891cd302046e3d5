//! Keeps `rowcast.presence` equal to who is in this server's rooms, and finds out who is in those of others.
//!
//! One loop over one connection, and so at most one statement at a time: whatever changed while one ran goes into the next. Writes come
//! at once where nothing was written lately, and else with a pause in between, so that thousands of clients that come together are a
//! handful of statements. They are none of the statements that store sessions: those keep a join waiting, and would do it for longer
//! and more often where presence can't be written.
//! Level-triggered: any failure ends the connection, and with it the server's rows; the next one writes and reads everything again.
//! A notification only wakes. Without it others are looked at once a second, which costs one row a server.

mod others;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use crate::backoff::Backoff;
use crate::db::{Database, PresenceError, PresenceTables};
use crate::metrics::Metrics;
use crate::presence::{Interest, LocalPresence, RemoteChange};
use crate::status::{Check, Checks, FoundBy};
use others::{Known, MAX_NAMED};

/// Between two writes.
const WRITE_PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at the other servers that notifications ask for.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks that nobody asks for.
const ROUND: Duration = Duration::from_secs(1);
/// Others may take so long to read a departure; beyond that they read everything.
const DEPARTURES_KEPT: Duration = Duration::from_secs(30);
/// Rows of one statement.
const MAX_ROWS: usize = 5_000;
/// Clients are waited for, so a database that comes back is found soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Stores this server's presence and reads that of others.
pub(crate) struct PresenceKeeper {
    /// Where the database is.
    pub database: Database,
    /// Who is in this server's rooms.
    pub local: Arc<LocalPresence>,
    /// Which rooms are watched here.
    pub interests: mpsc::UnboundedReceiver<Interest>,
    /// Takes what is found of others.
    pub remote: mpsc::Sender<RemoteChange>,
    /// Says that another server has written.
    pub heard: watch::Receiver<()>,
    /// Takes why it can't be done.
    pub checks: Checks,
    /// What is counted.
    pub metrics: Metrics,
}

/// The departures that may be forgotten at the next write.
struct Forgetting {
    noted: (Instant, i64),
    floor: i64,
}

impl PresenceKeeper {
    /// Runs until `stop`, for ever trying again.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), LONGEST_PAUSE);
        let mut outage = Outage::default();
        let mut known = Known::default();
        loop {
            let begun = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                begun = PresenceTables::begin(&self.database) => begun,
            };
            let error = match begun {
                Ok(mut tables) => tokio::select! {
                    biased;
                    () = stop.cancelled() => return tables.end().await,
                    served = self.serve(&mut tables, &mut known, &mut backoff, &mut outage) => match served {
                        Ok(never) => match never {},
                        Err(error) => error,
                    },
                },
                Err(error) => error,
            };
            self.note_failure(&error, &mut outage);
            // What nobody stores must not add up.
            self.local.forget_stored();
            if timeout(backoff.next(), stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }

    fn note_failure(&self, error: &PresenceError, outage: &mut Outage) {
        let cause = error.cause();
        if error.is_refused() {
            let cause = format!("who is in which room can't be written: {cause}");
            self.checks.fail(Check::Presence, FoundBy::Operation, cause);
        } else if outage.is_news(&cause) {
            tracing::warn!("presence is not kept at the moment: {cause}");
        }
    }

    /// One connection's life.
    async fn serve(
        &mut self,
        tables: &mut PresenceTables,
        known: &mut Known,
        backoff: &mut Backoff,
        outage: &mut Outage,
    ) -> Result<Infallible, PresenceError> {
        let mut unstored = self.local.unstored();
        self.local.forget_stored();
        let mut forgetting = Forgetting::new();
        self.write(tables, known, &mut forgetting).await?;
        self.read_everything(tables, known).await?;
        self.checks.pass(Check::Presence, FoundBy::Operation);
        backoff.reset();
        if outage.ends() {
            tracing::info!("presence is kept again");
        }
        let (mut next_write, mut next_look) = (Instant::now(), Instant::now());
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut some = Vec::new();
        loop {
            tokio::select! {
                changed = async { sleep_until(next_write).await; unstored.changed().await } => {
                    changed.map_err(|_| PresenceError::Unknown)?;
                    self.write(tables, known, &mut forgetting).await?;
                    next_write = Instant::now() + WRITE_PAUSE;
                }
                heard = async { sleep_until(next_look).await; self.heard.changed().await } => {
                    heard.map_err(|_| PresenceError::Unknown)?;
                    self.look(tables, known).await?;
                    next_look = Instant::now() + LOOK_PAUSE;
                }
                count = self.interests.recv_many(&mut some, MAX_NAMED) => {
                    if count == 0 {
                        // Nobody tells clients any more: the server stops.
                        std::future::pending::<()>().await;
                    }
                    self.read_watched(tables, known, some.drain(..)).await?;
                }
                _ = round.tick() => {
                    if tables.must_live_on() {
                        tables.live_on().await?;
                    }
                    if self.look(tables, known).await? {
                        self.remove_ended(tables, outage).await?;
                    }
                }
            }
        }
    }

    /// Removes what servers that have ended have left. Where Postgres refuses that, such as by a trigger of somebody's, this server's own
    /// rows stay as they are, and it is tried again in the next round: to begin anew would add to what can't be removed.
    async fn remove_ended(
        &self,
        tables: &mut PresenceTables,
        outage: &mut Outage,
    ) -> Result<(), PresenceError> {
        match tables.remove_ended().await {
            Ok(()) => self.checks.pass(Check::Presence, FoundBy::Operation),
            Err(error) if error.is_refused() => self.note_failure(&error, outage),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes whatever has changed.
    async fn write(
        &self,
        tables: &mut PresenceTables,
        known: &Known,
        forgetting: &mut Forgetting,
    ) -> Result<(), PresenceError> {
        while self.local.has_unstored() {
            let changed = self.local.take_unstored(MAX_ROWS);
            let floor = forgetting.floor(tables.version());
            let written = tables.write(&changed, floor, !known.servers.is_empty());
            written.await?;
            self.metrics.presence_writes.inc();
            let rows = changed.rows.len() + changed.gone.len();
            self.metrics.presence_rows.inc_by(rows as u64);
        }
        Ok(())
    }
}

impl Forgetting {
    fn new() -> Self {
        Self {
            noted: (Instant::now(), 0),
            floor: 0,
        }
    }

    /// Up to which version departures are old, where the last write was `version`.
    fn floor(&mut self, version: i64) -> i64 {
        if self.noted.0.elapsed() >= DEPARTURES_KEPT {
            self.floor = self.noted.1;
            self.noted = (Instant::now(), version);
        }
        self.floor
    }
}
