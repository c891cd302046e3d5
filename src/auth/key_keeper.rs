//! Keeps the keys of tokens up to date while the server runs: files are read again when they change, a key set over HTTP is
//! fetched in rounds.
//!
//! Nobody waits for it: handshakes use the keys that are there. Guarantees one fetch at a time and a least pause between two,
//! however many tokens ask for a key that is unknown; that keys stay while newer ones can't be had, up to a greatest age; and that
//! what can't be used (a broken file, a page that is no key set) never takes the place of keys that can.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::key_source::KeySource;
use super::verifier::{Keys, TokenRules, Verifier};
use crate::backoff::Backoff;
use crate::config::Jwt;
use crate::metrics::{KeyRead, Metrics};
use crate::status::{Check, Checks, FoundBy};

/// A key set that could not be fetched for so long is used no more: a key that was withdrawn meanwhile must not be valid for ever.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest pause before a fetch that failed is tried again.
const RETRY_CAP: Duration = Duration::from_secs(60);

/// Reads the keys again and again.
pub(crate) struct KeyKeeper {
    source: KeySource,
    keys: watch::Sender<Keys>,
    wanted: Arc<Notify>,
    metrics: Metrics,
    checks: Checks,
    /// What was last read, so that the log has a line for each change and none in between.
    last: Result<Vec<u8>, String>,
    read_at: Option<Instant>,
}

/// Reads the keys that lie in files or settings, and makes what verifies tokens. A key set over HTTP is left to the keeper.
///
/// # Errors
/// Why a file can't be used.
pub(crate) fn verifier(
    jwt: &Jwt,
    metrics: &Metrics,
    checks: &Checks,
) -> anyhow::Result<(Verifier, KeyKeeper)> {
    let rules = TokenRules {
        issuers: jwt.issuers.clone(),
        audiences: jwt.audiences.clone(),
        leeway: jwt.leeway,
    };
    let wanted = Arc::new(Notify::new());
    let mut keeper = KeyKeeper {
        source: KeySource::new(&jwt.keys),
        keys: watch::Sender::new(Keys {
            missing: true,
            ..Keys::default()
        }),
        wanted: wanted.clone(),
        metrics: metrics.clone(),
        checks: checks.clone(),
        last: Err("the keys were not fetched yet".to_owned()),
        read_at: None,
    };
    if keeper.source.is_remote() {
        keeper.checks.fail(
            Check::Keys,
            FoundBy::Operation,
            "the keys of ROWCAST_JWT_JWKS were not fetched yet",
        );
    } else {
        let content = keeper
            .source
            .read_files()
            .map_err(|reason| anyhow!(reason))?;
        keeper.take(content).map_err(|reason| anyhow!(reason))?;
    }
    Ok((
        Verifier::new(keeper.keys.subscribe(), wanted, &rules),
        keeper,
    ))
}

/// Fetches the keys over HTTP once, for a command that ends.
///
/// # Errors
/// Why there are none.
pub(crate) async fn verifier_now(
    jwt: &Jwt,
    metrics: &Metrics,
    checks: &Checks,
) -> anyhow::Result<Verifier> {
    let (verifier, mut keeper) = verifier(jwt, metrics, checks)?;
    if keeper.source.is_remote() {
        let content = keeper.source.read().await;
        let taken = content.and_then(|content| keeper.take(content));
        taken.map_err(|reason| anyhow!(reason))?;
    }
    Ok(verifier)
}

impl KeyKeeper {
    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_secs(1), RETRY_CAP);
        let mut due = Instant::now();
        if !self.source.is_remote() {
            due += self.source.pause();
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_until(due) => {}
                () = self.wanted.notified() => {
                    // Too soon: it is asked for again, if it is still wanted then.
                    let earliest = self.read_at.map(|at| at + self.source.least_pause());
                    if let Some(earliest) = earliest.filter(|earliest| *earliest > Instant::now()) {
                        due = due.min(earliest);
                        continue;
                    }
                }
            }
            self.read_at = Some(Instant::now());
            let read = tokio::select! {
                () = stop.cancelled() => return,
                read = self.source.read() => read,
            };
            due = match read.and_then(|content| self.take(content)) {
                Ok(()) => {
                    backoff.reset();
                    Instant::now() + self.source.pause()
                }
                Err(reason) => {
                    self.keep(&reason);
                    Instant::now() + backoff.next().min(self.source.pause())
                }
            };
        }
    }

    /// Takes what was read, if it can be used.
    fn take(&mut self, content: Vec<u8>) -> Result<(), String> {
        let is_same = self.last.as_ref() == Ok(&content);
        let mut set = self.keys.borrow().set.clone();
        if !is_same {
            let (read, left_out) = self.source.parse(&content)?;
            for reason in left_out {
                tracing::warn!("ROWCAST_JWT_JWKS: left out {reason}");
            }
            let (keys, algorithms) = (read.len(), read.algorithms());
            tracing::info!(
                keys,
                algorithms,
                "keys that tokens are verified with: {keys} ({algorithms})"
            );
            set = Arc::new(read);
        }
        // A shared secret in memory is as secret as the setting.
        self.last = Ok(content);
        let until = Instant::now() + self.source.least_pause();
        self.keys.send_replace(Keys {
            set,
            complete_until: self.source.may_have_more().then_some(until),
            read_at: self.read_at,
            missing: false,
        });
        self.metrics.key_reads(if is_same {
            KeyRead::Unchanged
        } else {
            KeyRead::Changed
        });
        self.checks.pass(Check::Keys, FoundBy::Operation);
        self.checks.pass(Check::KeyRefresh, FoundBy::Operation);
        Ok(())
    }

    /// Nothing newer could be had: the keys stay, unless they are too old.
    fn keep(&mut self, reason: &str) {
        self.metrics.key_reads(KeyRead::Failed);
        let too_old = self.source.is_remote() && self.is_too_old();
        if too_old {
            self.keys.send_modify(|keys| {
                *keys = Keys {
                    missing: true,
                    ..Keys::default()
                }
            });
            self.last = Err(String::new());
        }
        if self.keys.borrow().missing {
            self.checks.pass(Check::KeyRefresh, FoundBy::Operation);
            self.checks.fail(
                Check::Keys,
                FoundBy::Operation,
                format!("no token can be verified: {reason}"),
            );
        } else {
            self.checks.fail(
                Check::KeyRefresh,
                FoundBy::Operation,
                format!("the keys of before are used on: {reason}"),
            );
        }
    }

    fn is_too_old(&self) -> bool {
        let complete_until = self.keys.borrow().complete_until;
        complete_until.is_some_and(|until| until.elapsed() > MAX_AGE)
    }
}
