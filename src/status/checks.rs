//! What else a server must be able to do, beside hearing and reading: each thing a check, with the cause where it fails.
//!
//! A leaf that is written to by whoever finds a fault (an operation that failed, or the self-check) and read by readiness and
//! metrics. Guarantees one line in the log when a check begins to fail and one when it is over, however many operations fail
//! meanwhile and however often the two alternate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A check that fails again for the same cause within this time of its last line in the log waits with the next one.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// Something that a server must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// The database takes writes: no standby, no read-only default.
    Writes,
    /// The role has the rights without which nothing is delivered.
    Rights,
    /// No row of ours is hidden from the role.
    RowSecurity,
    /// Resume sessions can be stored, without which no join is answered.
    Sessions,
    /// Events and resume sessions that are older than the retention are removed.
    Retention,
    /// The role has the rights that the history of a room takes, and the following of partitions.
    History,
    /// Readers can hold the key by which writers know that somebody is to be notified.
    ReaderKey,
    /// Nobody keeps a table of ours locked against everybody else.
    Locks,
    /// Whoever writes an event wakes the reader.
    Wake,
    /// The cluster's queue of notifications has room.
    NotifyQueue,
    /// The disk of Postgres takes another page.
    Disk,
    /// Vacuum can remove the dead rows of our tables.
    Vacuum,
    /// Who is in which room can be written.
    Presence,
    /// There are keys to verify tokens with.
    Keys,
    /// The keys that tokens are verified with can be read again.
    KeyRefresh,
    /// Servers tell each other what was committed, over the relay that is configured.
    Relay,
    /// The TLS certificate that is served is good for some time yet, and what lies in its files can be used.
    Certificate,
}

/// How much a check that fails takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Clients are not served as they should be: the server is not ready.
    Failing,
    /// Events reach their clients, and something else must be mended.
    Degraded,
}

impl Check {
    /// Every check.
    pub(crate) const ALL: [Self; 17] = [
        Self::Writes,
        Self::Rights,
        Self::RowSecurity,
        Self::Sessions,
        Self::Retention,
        Self::History,
        Self::ReaderKey,
        Self::Locks,
        Self::Wake,
        Self::NotifyQueue,
        Self::Disk,
        Self::Vacuum,
        Self::Presence,
        Self::Keys,
        Self::KeyRefresh,
        Self::Relay,
        Self::Certificate,
    ];

    /// Its name in `/readyz`, in the log and in the metric.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Rights => "rights",
            Self::RowSecurity => "row_security",
            Self::Sessions => "sessions",
            Self::Retention => "retention",
            Self::History => "history",
            Self::ReaderKey => "reader_key",
            Self::Locks => "locks",
            Self::Wake => "wake",
            Self::NotifyQueue => "notify_queue",
            Self::Disk => "disk",
            Self::Vacuum => "vacuum",
            Self::Presence => "presence",
            Self::Keys => "keys",
            Self::KeyRefresh => "key_refresh",
            Self::Relay => "relay",
            Self::Certificate => "certificate",
        }
    }

    /// What its failure does to readiness.
    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::Writes
            | Self::Rights
            | Self::RowSecurity
            | Self::Sessions
            | Self::Locks
            | Self::Keys => Severity::Failing,
            Self::Retention
            | Self::History
            | Self::Wake
            | Self::NotifyQueue
            | Self::Disk
            | Self::Vacuum
            | Self::Presence
            | Self::KeyRefresh
            | Self::Relay
            | Self::Certificate
            | Self::ReaderKey => Severity::Degraded,
        }
    }
}

/// Who found a fault, and so who says that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FoundBy {
    /// The self-check. Its causes name the remedy, so they come first.
    SelfCheck,
    /// An operation that a client or the clock asked for.
    Operation,
}

/// The checks that fail, shared by those who find faults and those who report them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: BTreeMap<(Check, FoundBy), String>,
    /// What was last logged of each check.
    logged: BTreeMap<Check, Logged>,
}

#[derive(Debug)]
struct Logged {
    at: Instant,
    cause: String,
    /// Its end is to be logged, too.
    open: bool,
}

impl Checks {
    /// A check fails, for this reason.
    pub(crate) fn fail(&self, check: Check, found_by: FoundBy, cause: impl Into<String>) {
        let cause = cause.into();
        let mut state = self.state();
        state.faults.insert((check, found_by), cause.clone());
        let is_told =
            |last: &Logged| last.open || last.cause == cause && last.at.elapsed() < LOG_PAUSE;
        if state.logged.get(&check).is_some_and(is_told) {
            return;
        }
        let logged = Logged {
            at: Instant::now(),
            cause: cause.clone(),
            open: true,
        };
        state.logged.insert(check, logged);
        drop(state);
        match check.severity() {
            Severity::Failing => tracing::error!(check = check.name(), "not ready: {cause}"),
            Severity::Degraded => tracing::warn!(check = check.name(), "degraded: {cause}"),
        }
    }

    /// What `found_by` found is over, if there was anything.
    pub(crate) fn pass(&self, check: Check, found_by: FoundBy) {
        let mut state = self.state();
        if state.faults.remove(&(check, found_by)).is_none() || state.is_failing(check) {
            return;
        }
        let was_logged = match state.logged.get_mut(&check) {
            Some(logged) => std::mem::replace(&mut logged.open, false),
            None => false,
        };
        drop(state);
        if was_logged {
            tracing::info!(check = check.name(), "mended: {} works again", check.name());
        }
    }

    /// Whether this finder has found that the check fails.
    pub(crate) fn found(&self, check: Check, found_by: FoundBy) -> bool {
        self.state().faults.contains_key(&(check, found_by))
    }

    /// Whether any check fails.
    pub(crate) fn any_fails(&self) -> bool {
        !self.state().faults.is_empty()
    }

    /// The checks that fail, each with its cause.
    pub(crate) fn failing(&self) -> Vec<(Check, String)> {
        let state = self.state();
        let mut failing: Vec<(Check, String)> = Vec::new();
        for ((check, _), cause) in &state.faults {
            if failing.last().is_none_or(|(last, _)| last != check) {
                failing.push((*check, cause.clone()));
            }
        }
        failing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_failing(&self, check: Check) -> bool {
        let both = [FoundBy::SelfCheck, FoundBy::Operation];
        both.iter()
            .any(|found_by| self.faults.contains_key(&(check, *found_by)))
    }
}

#[cfg(test)]
mod tests;
