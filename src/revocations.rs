//! What was revoked, in memory: whose tokens are refused, and which rooms are closed to them.
//!
//! Owns the rule: a token is refused that was issued in the second of the revocation or earlier, and one that does not say when it was
//! issued, as long as a revocation of its subject is kept. A token that is older than revocations are kept is refused in any case.
//! Guarantees that a revocation which was added holds for every look from then on, and that memory is bounded: what there is no room
//! for makes tokens of its age invalid for everybody, and never lets one in.
//! No I/O. `feed` brings revocations, `delivery`, `socketio` and `http` look here before they give anything.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::event::Room;

mod watches;

pub(crate) use watches::RevocationWatch;
use watches::Watches;

/// Revocations that are kept: some 40 MB.
const MAX_KEPT: usize = 1_000_000;
/// They are kept for so much longer than a token may be old, because two clocks may differ.
const MARGIN: Duration = Duration::from_secs(3600);

/// The end of a right, as `rowcast.revoke` wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Revocation {
    /// Whose.
    pub subject: String,
    /// Of the tokens of this issuer; `None` for those of all.
    pub issuer: Option<String>,
    /// The room that is closed; `None` for all of them, and the connection itself.
    pub room: Option<String>,
    /// When it was revoked, in seconds since 1970, rounded down.
    pub at: i64,
    /// What a client is told that has to leave the room.
    pub reason: Option<String>,
}

impl Revocation {
    /// Reads an event of the room `rowcast:revocations`.
    ///
    /// # Errors
    /// It is not what `rowcast.revoke` writes.
    pub(crate) fn parse(payload: &str) -> serde_json::Result<Self> {
        serde_json::from_str(payload)
    }
}

/// Whom a token speaks for, and since when: no more of it than [`Revocations`] needs. Numbers, so that a socket keeps little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// Of the subject, whoever its issuer is.
    subject: u64,
    /// Of the subject and its issuer.
    issued_subject: u64,
    issued_at: Option<i64>,
}

impl Bearer {
    /// Stands for the subject, whoever its issuer is.
    pub(crate) fn subject(&self) -> u64 {
        self.subject
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// What it proved was revoked.
    Revoked,
    /// It is older than revocations are kept.
    TooOld,
}

/// The revocations that are kept.
#[derive(Debug)]
pub(crate) struct Revocations {
    kept: RwLock<Kept>,
    watches: Watches,
    hasher: RandomState,
    max_age: Duration,
    max_kept: usize,
}

#[derive(Debug)]
struct Kept {
    /// The time of the last revocation, by who and which room.
    by_key: HashMap<u64, i64>,
    /// Tokens that were issued up to here are refused, whoever's they are: their revocations had no room.
    forgotten: i64,
}

impl Revocations {
    /// None yet. A token may be `max_age` old.
    pub(crate) fn new(max_age: Duration) -> Arc<Self> {
        Arc::new(Self::with_room_for(MAX_KEPT, max_age))
    }

    fn with_room_for(max_kept: usize, max_age: Duration) -> Self {
        Self {
            kept: RwLock::new(Kept {
                by_key: HashMap::new(),
                forgotten: i64::MIN,
            }),
            watches: Watches::default(),
            hasher: RandomState::new(),
            max_age,
            max_kept,
        }
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a token. `issued_at` is in seconds since 1970.
    pub(crate) fn bearer(
        &self,
        issuer: Option<&str>,
        subject: &str,
        issued_at: Option<i64>,
    ) -> Bearer {
        Bearer {
            subject: self.subject_key(None, subject),
            issued_subject: self.subject_key(issuer, subject),
            issued_at,
        }
    }

    /// Stands for the subject of a revocation, as [`Bearer::subject`] does.
    pub(crate) fn subject(&self, revocation: &Revocation) -> u64 {
        self.subject_key(None, &revocation.subject)
    }

    fn subject_key(&self, issuer: Option<&str>, subject: &str) -> u64 {
        self.hasher.hash_one((issuer, subject))
    }

    fn room_key(&self, subject: u64, room: &str) -> u64 {
        self.hasher.hash_one((subject, room))
    }

    /// Adds revocations. From now on their tokens are refused, and who waits for a revocation of theirs is woken.
    pub(crate) fn add(&self, revocations: &[Revocation]) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for revocation in revocations {
            let subject = self.subject_key(revocation.issuer.as_deref(), &revocation.subject);
            let key = match &revocation.room {
                Some(room) => self.room_key(subject, room),
                None => subject,
            };
            let at = kept.by_key.entry(key).or_insert(revocation.at);
            *at = revocation.at.max(*at);
        }
        let forgets = kept.by_key.len() > self.max_kept;
        if forgets {
            kept.forget_the_oldest(self.max_kept / 2);
        }
        drop(kept);
        if forgets {
            self.watches.wake_all();
        } else {
            self.watches
                .wake(revocations.iter().map(|it| self.subject(it)));
        }
    }

    /// Forgets what no token can be old enough for, and says how many are left.
    pub(crate) fn prune(&self) -> usize {
        let oldest = seconds(SystemTime::now()) - seconds_of(self.kept_for());
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.by_key.retain(|_, at| *at >= oldest);
        kept.by_key.len()
    }

    /// How long a revocation is kept.
    pub(crate) fn kept_for(&self) -> Duration {
        self.max_age.saturating_add(MARGIN)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.kept().by_key.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why a token proves nothing any more, if so.
    pub(crate) fn of(&self, bearer: &Bearer) -> Option<Revoked> {
        let oldest = seconds(SystemTime::now()) - seconds_of(self.max_age);
        if bearer.issued_at.is_some_and(|at| at < oldest) {
            return Some(Revoked::TooOld);
        }
        let kept = self.kept();
        let is_revoked = kept.refuses(bearer.subject, bearer)
            || kept.refuses(bearer.issued_subject, bearer)
            || kept.may_have_forgotten(bearer);
        is_revoked.then_some(Revoked::Revoked)
    }

    /// Whether a room is closed to the bearer of a token: it alone, or all of them.
    pub(crate) fn closes(&self, bearer: &Bearer, room: &Room) -> bool {
        let kept = self.kept();
        let keys = [bearer.subject, bearer.issued_subject];
        let is_closed = |key| {
            kept.refuses(self.room_key(key, room.as_str()), bearer) || kept.refuses(key, bearer)
        };
        // Most servers have revoked nothing, and this is asked for each room of each session.
        !kept.by_key.is_empty() && keys.into_iter().any(is_closed)
            || kept.may_have_forgotten(bearer)
    }
}

impl Kept {
    fn refuses(&self, key: u64, bearer: &Bearer) -> bool {
        let revoked_at = self.by_key.get(&key);
        revoked_at.is_some_and(|at| bearer.issued_at.is_none_or(|issued| issued <= *at))
    }

    fn may_have_forgotten(&self, bearer: &Bearer) -> bool {
        self.forgotten > i64::MIN && bearer.issued_at.is_none_or(|at| at <= self.forgotten)
    }

    /// Keeps the `left` latest ones, about: tokens that the others could have concerned are refused to everybody.
    fn forget_the_oldest(&mut self, left: usize) {
        let mut times: Vec<i64> = self.by_key.values().copied().collect();
        let first = times.len().saturating_sub(left.max(1));
        let (_, at, _) = times.select_nth_unstable(first);
        let forgotten = *at;
        self.by_key.retain(|_, at| *at > forgotten);
        self.forgotten = self.forgotten.max(forgotten);
        tracing::error!(
            kept = self.by_key.len(),
            "there are more revocations than memory is given for: tokens that were issued before the oldest one that is kept are \
             refused, whoever's they are; a shorter ROWCAST_MAX_TOKEN_AGE keeps fewer"
        );
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, seconds_of)
}

fn seconds_of(duration: Duration) -> i64 {
    duration.as_secs().try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
