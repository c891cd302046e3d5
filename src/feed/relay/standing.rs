//! Who leads, and whether this server follows: decided from what is heard, and from when. No I/O.
//!
//! A server that hears a leader is an edge, and asks Postgres for nothing. One that hears nobody reads by itself, and tries to become the
//! leader, which takes the one lock of the database. A leader hears itself: where it does not, nobody else can, and it gives the lock up.
//! Guarantees that an edge which stays one hears of a leader that reads: the leader must have come, within a while, to where the edge
//! itself has found the database to be. So neither a leader that hangs nor an old message that is sent again keeps an edge waiting.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::message::Statement;
use crate::offset::Snapshot;

/// Between two signs of life of a leader.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);
/// After a second of silence, and up to a quarter more so that not all act at once, nobody leads.
const SILENCE: Duration = Duration::from_secs(1);
const JITTER: Duration = Duration::from_millis(250);
/// A leader of an earlier term is no sign of life while a later one was heard within this time.
const TERM_MEMORY: Duration = Duration::from_secs(2);
/// How long a leader may take to come to where an edge has found the database to be.
const PROOF_PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts to lead: of a server whom another one keeps from it, and of one that could not be heard.
const TRY_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_TRY_PAUSE: Duration = Duration::from_secs(8);

/// What a server is on the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It reads the outbox by itself, and nobody hears of it.
    Alone,
    /// It is told by the leader.
    Edge,
    /// It reads the outbox, and tells the edges.
    Leader,
}

/// The last sign of life of another server that leads.
#[derive(Clone, Copy, Debug)]
struct Life {
    term: u64,
    number: u64,
    at: Instant,
    /// It said that it stops to lead.
    is_over: bool,
}

/// A term of this server's.
#[derive(Clone, Copy, Debug)]
struct Term {
    number: u64,
    /// When it began, or this server last heard itself.
    heard: Instant,
}

/// What a server knows of who leads.
#[derive(Debug)]
pub(super) struct Standing {
    life: Option<Life>,
    /// Where the database was found to be, which the leader has not come to yet, and until when it has time.
    unproved: Option<(Arc<Snapshot>, Instant)>,
    term: Option<Term>,
    /// What was said of this server before it acts on what it hears.
    settled: Role,
    try_at: Instant,
    unheard: u32,
    silence: Duration,
    jitter: Duration,
    /// Whether NATS is connected.
    is_connected: bool,
    /// Since when writers could not wake this server, if they can't.
    deaf_since: Option<Instant>,
}

/// What is to be done about the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Stay,
    TryToLead,
    GiveUp,
}

impl Standing {
    /// Of a server that has heard nothing. `chance`, from 0 to 1, sets it apart from others.
    pub(super) fn new(now: Instant, chance: f64) -> Self {
        let jitter = JITTER.mul_f64(chance);
        Self {
            life: None,
            unproved: None,
            term: None,
            settled: Role::Alone,
            // Whoever leads already is heard before.
            try_at: now + 2 * HEARTBEAT + jitter,
            unheard: 0,
            silence: SILENCE + jitter,
            jitter,
            is_connected: false,
            deaf_since: Some(now),
        }
    }

    /// The database was connected anew: the lock is gone, and the leader has to prove that it has come to here.
    pub(super) fn connected(&mut self, here: Arc<Snapshot>, now: Instant) {
        self.lose_term(now);
        self.unproved = Some((here, now));
        self.settled = Role::Alone;
    }

    /// Whether NATS is connected, and whether writers would wake this server.
    pub(super) fn can_lead(&mut self, is_connected: bool, is_woken: bool, now: Instant) {
        self.is_connected = is_connected;
        self.deaf_since = (!is_woken).then(|| self.deaf_since.unwrap_or(now));
    }

    /// Something was said by a server that leads.
    pub(super) fn hears(&mut self, statement: &Statement, now: Instant) {
        if let Some(term) = &mut self.term
            && term.number == statement.term
        {
            (term.heard, self.unheard) = (now, 0);
            return;
        }
        let is_news = match self.life {
            Some(life) if now - life.at <= TERM_MEMORY => {
                (statement.term, statement.number) > (life.term, life.number)
            }
            Some(life) => (statement.term, statement.number) != (life.term, life.number),
            None => true,
        };
        if !is_news {
            return;
        }
        self.life = Some(Life {
            term: statement.term,
            number: statement.number,
            at: now,
            is_over: statement.is_farewell,
        });
        if statement.is_farewell {
            self.try_at = now + self.jitter;
        }
        self.unproved
            .take_if(|(here, _)| statement.after.covers(here));
    }

    /// This server has read by itself, and found the database here.
    pub(super) fn reads(&mut self, here: &Arc<Snapshot>, now: Instant) {
        self.unproved
            .get_or_insert_with(|| (here.clone(), now + PROOF_PATIENCE));
    }

    /// What this server is now.
    pub(super) fn role(&self, now: Instant) -> Role {
        let lives = |life: Life| !life.is_over && now - life.at < self.silence;
        let hangs = |(_, until): &(_, Instant)| *until <= now;
        if self.term.is_some() {
            Role::Leader
        } else if self.life.is_some_and(lives) && !self.unproved.as_ref().is_some_and(hangs) {
            Role::Edge
        } else {
            Role::Alone
        }
    }

    /// Whether what this server is differs from what it has settled for, or there is something to be done about the lock.
    pub(super) fn turns(&self, now: Instant) -> bool {
        self.role(now) != self.settled || self.step(now) != Step::Stay
    }

    /// What is to be done about the lock.
    pub(super) fn step(&self, now: Instant) -> Step {
        let is_deaf = self.deaf_since.is_some_and(|since| now - since > SILENCE);
        match (self.role(now), self.term) {
            (_, Some(term)) if is_deaf || now - term.heard > SILENCE => Step::GiveUp,
            (Role::Alone, None)
                if self.is_connected && self.deaf_since.is_none() && self.try_at <= now =>
            {
                Step::TryToLead
            }
            _ => Step::Stay,
        }
    }

    /// What this server is, and from now on acts by.
    pub(super) fn settle(&mut self, now: Instant) -> Role {
        self.settled = self.role(now);
        self.settled
    }

    /// This server has the lock.
    pub(super) fn leads(&mut self, number: u64, now: Instant) {
        self.term = Some(Term { number, heard: now });
        self.life = None;
    }

    /// Somebody else has it.
    pub(super) fn is_denied(&mut self, now: Instant) {
        self.try_at = now + TRY_PAUSE + self.jitter;
    }

    /// This server has given it up, or lost it.
    pub(super) fn lose_term(&mut self, now: Instant) {
        if self.term.take().is_some() {
            self.unheard += 1;
            let pause = TRY_PAUSE * 2_u32.saturating_pow(self.unheard.min(10));
            self.try_at = now + pause.min(LONGEST_TRY_PAUSE) + self.jitter;
        }
    }

    /// The number of the term in which this server leads.
    pub(super) fn term(&self) -> Option<u64> {
        self.term.map(|term| term.number)
    }

    /// Whether it has lately heard itself say something.
    pub(super) fn is_heard(&self, now: Instant) -> bool {
        self.term.is_some_and(|term| now - term.heard <= SILENCE)
    }
}
