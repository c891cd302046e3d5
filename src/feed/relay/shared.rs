//! What the reader's side of the relay and the side of NATS know together, under one lock that is held for a moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::inbox::{Inbox, Next};
use super::message::{Heading, Statement};
use super::speech::{ReadToTell, Speech};
use super::standing::{Role, Standing};
use crate::db::{Head, LogPosition, ReadPart};
use crate::metrics::{Metrics, RelayOutcome};
use crate::offset::{EpochKey, Seen};

/// An edge looks at the database by itself once in so long, whatever it is told; and a part more, so that not all do it at once.
const SWEEP: Duration = Duration::from_secs(15);

/// Both sides.
#[derive(Clone)]
pub(super) struct Shared {
    state: Arc<Mutex<State>>,
    /// The life of the database that this server follows.
    pub(super) life: watch::Sender<Option<EpochKey>>,
    /// There is something to be said.
    pub(super) spoken: Arc<Notify>,
    pub(super) metrics: Metrics,
}

/// What is known at this moment.
pub(super) struct State {
    pub(super) standing: Standing,
    pub(super) inbox: Inbox,
    /// While this server leads.
    pub(super) speech: Speech,
    /// The life that the reader follows. The link speaks and hears in an earlier one until it has noticed.
    life: Option<EpochKey>,
    crashes: usize,
    /// `ROWCAST_MAX_PAYLOAD`, in bytes.
    pub(super) max_payload: u64,
    /// What the engine takes of events in one message.
    pub(super) most_bytes: usize,
    /// Somebody wants the database itself to be looked at, or it has to be: after a connection, or a gap.
    must_read: bool,
    sweep_at: Instant,
    sweep: Duration,
    /// Where Postgres's log was at the last read, or in the last statement that was applied.
    pub(super) log: LogPosition,
    /// Servers whose payloads are reduced at another size were heard.
    pub(super) differs: bool,
}

impl State {
    /// How many crashes of the database are known of.
    pub(super) fn crashes(&self) -> usize {
        self.crashes
    }
}

/// How the reader is to be answered.
pub(super) enum Answer {
    /// By the database.
    Read,
    /// By this part, which is all.
    Part(ReadPart),
}

impl Shared {
    pub(super) fn new(max_payload: usize, metrics: Metrics) -> Self {
        let (now, chance) = (Instant::now(), f64::from(rand::random::<u16>()) / 65_536.0);
        let sweep = SWEEP + SWEEP.mul_f64(chance / 3.0);
        Self {
            state: Arc::new(Mutex::new(State {
                standing: Standing::new(now, chance),
                inbox: Inbox::default(),
                speech: Speech::default(),
                life: None,
                crashes: 0,
                max_payload: max_payload as u64,
                most_bytes: 0,
                must_read: true,
                sweep_at: now,
                sweep,
                log: LogPosition::default(),
                differs: false,
            })),
            life: watch::Sender::new(None),
            spoken: Arc::new(Notify::new()),
            metrics,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader's connection is about to be opened anew: the lock is gone with the one before.
    pub(super) fn disconnected(&self, now: Instant) {
        let mut state = self.state();
        state.standing.lose_term(now);
        state.speech = Speech::default();
    }

    /// It is open.
    pub(super) fn connected(&self, head: &Head, now: Instant) {
        let mut state = self.state();
        state.standing.connected(head.snapshot.clone(), now);
        state.speech = Speech::default();
        state.inbox.clear();
        (state.life, state.crashes) = (Some(head.epoch.value), head.epoch.crashes);
        // What was delivered before a crash is found again by a whole read, and by nothing less.
        state.must_read = true;
        state.log = LogPosition {
            written: head.log_written,
            flushed: head.log_written,
        };
        drop(state);
        self.life.send_if_modified(|life| {
            let is_another = *life != Some(head.epoch.value);
            *life = Some(head.epoch.value);
            is_another
        });
    }

    /// Takes what was heard in a life of the database, of so many bytes. True: the reader has something to do.
    pub(super) fn hear(
        &self,
        statement: Statement,
        life: EpochKey,
        bytes: usize,
        now: Instant,
    ) -> bool {
        let mut state = self.state();
        if state.life != Some(life) {
            self.metrics.relay(RelayOutcome::Foreign);
            return false;
        }
        if statement.max_payload != state.max_payload {
            state.differs = true;
            self.metrics.relay(RelayOutcome::Foreign);
            return false;
        }
        state.differs = false;
        if statement.crashes != state.crashes {
            self.metrics.relay(RelayOutcome::Foreign);
            // The database has crashed, and this server has not noticed: its next read does.
            state.must_read |= statement.crashes > state.crashes;
            return state.must_read;
        }
        if state.log.is_told() {
            // Also of a statement that says nothing else: what is on disk stays there.
            state.log.flushed = state.log.flushed.max(statement.log.flushed);
        }
        state.standing.hears(&statement, now);
        if state.standing.term() == Some(statement.term) {
            return state.standing.turns(now);
        }
        if !state.inbox.push(statement, bytes) {
            state.must_read = true;
        }
        state.standing.role(now) == Role::Edge || state.standing.turns(now)
    }

    /// Somebody is ahead of the broadcast: the next read is the database's.
    pub(super) fn look(&self) {
        self.state().must_read = true;
    }

    /// How the reader is to be answered that has this.
    pub(super) fn answer(&self, from: &Seen, now: Instant) -> Answer {
        let mut state = self.state();
        let Seen::All(position) = from else {
            return Answer::Read;
        };
        // Taken before the read, so that a wish that comes while it is under way is not taken for fulfilled.
        let must_read = std::mem::take(&mut state.must_read);
        if must_read || state.standing.role(now) != Role::Edge || state.sweep_at <= now {
            return Answer::Read;
        }
        let (snapshot, events, synced) = match state.inbox.next(position) {
            Next::Gap => {
                self.metrics.relay(RelayOutcome::Gap);
                return Answer::Read;
            }
            Next::Taken(taken) => {
                let applied = self.metrics.relay_count(RelayOutcome::Applied);
                applied.inc_by(taken.statements as u64);
                state.log = taken.log;
                (taken.snapshot, taken.events, taken.synced)
            }
            Next::Nothing => (position.clone(), Vec::new(), true),
        };
        Answer::Part(ReadPart {
            snapshot,
            log: state.log,
            pruned: None,
            events,
            synced,
            complete: true,
            is_large: false,
        })
    }

    /// The database is read from here, by a leader whose read is to be told.
    pub(super) fn begin_read(&self, from: &Seen) -> Option<ReadToTell> {
        let state = self.state();
        let leads = state.standing.term().is_some();
        leads.then(|| ReadToTell::new(from, state.most_bytes))
    }

    /// A read of the database has ended with this part.
    pub(super) fn end_read(&self, told: Option<ReadToTell>, last: &ReadPart, now: Instant) {
        let mut state = self.state();
        state.sweep_at = now + state.sweep;
        state.log = last.log;
        let known = state.inbox.forget_known(&last.snapshot);
        let outcome = self.metrics.relay_count(RelayOutcome::Known);
        outcome.inc_by(known as u64);
        match told {
            Some(read) if state.standing.term().is_some() => {
                state.speech.end_read(read, last, now);
                drop(state);
                self.spoken.notify_one();
            }
            _ => state.standing.reads(&last.snapshot, now),
        }
    }

    /// What a message of the leader's begins with; `None` where this server does not lead in that life of the database.
    pub(super) fn heading(
        &self,
        life: EpochKey,
        number: u64,
        is_farewell: bool,
    ) -> Option<Heading> {
        let state = self.state();
        (state.life == Some(life)).then_some(())?;
        Some(Heading {
            crashes: state.crashes(),
            max_payload: state.max_payload,
            term: state.standing.term()?,
            number,
            is_farewell,
        })
    }

    /// Whether there is more of what the reader is told.
    pub(super) fn has_more(&self) -> bool {
        !self.state().inbox.is_empty()
    }
}
