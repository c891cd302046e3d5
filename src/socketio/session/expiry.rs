//! When the tokens of connected clients end, and the task that cuts whose has.
//!
//! By the wall clock, because that is what a token's `exp` means: a clock that is set ends tokens as it should. A client is cut some
//! seconds after the last moment at which its token would be accepted, those of one moment at different times, because all of
//! them connect anew. It is the transport that is cut: a stock client comes back by itself, with a fresh token if it has one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::delivery::SubscriberTransport as _;
use crate::metrics::Metrics;
use crate::socketio::client::Client;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// The most that a client is cut later than its token ends.
const MAX_SPREAD_SECONDS: i64 = 10;

/// The clients whose tokens end, by the second at which they are cut.
#[derive(Default)]
pub(in crate::socketio) struct Expiries(Mutex<BTreeMap<(i64, u64), Weak<Client>>>);

impl Expiries {
    fn due(&self) -> MutexGuard<'_, BTreeMap<(i64, u64), Weak<Client>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client's token ends at `expires_at` (seconds since 1970), and is accepted for `leeway` more. Returns when it is cut.
    pub(in crate::socketio) fn insert(
        &self,
        client: &Arc<Client>,
        expires_at: i64,
        leeway: Duration,
    ) -> i64 {
        // A token that is short-lived is not spread far beyond its life.
        let most = ((expires_at - now()) / 10).clamp(0, MAX_SPREAD_SECONDS);
        let at = expires_at + leeway.as_secs() as i64 + 1 + rand::random_range(0..=most);
        self.due().insert((at, client.id()), Arc::downgrade(client));
        at
    }

    /// The client has gone, or has a later token.
    pub(in crate::socketio) fn remove(&self, at: i64, id: u64) {
        self.due().remove(&(at, id));
    }

    /// Takes out whose token has ended.
    fn take_ended(&self, now: i64) -> Vec<Arc<Client>> {
        let mut due = self.due();
        let later = due.split_off(&(now + 1, 0));
        let ended = std::mem::replace(&mut *due, later);
        ended.into_values().filter_map(|it| it.upgrade()).collect()
    }
}

/// Cuts the clients whose tokens have ended, until `stop`.
pub(in crate::socketio) async fn cut_ended(
    expiries: Arc<Expiries>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for client in expiries.take_ended(now()) {
            metrics.expired.inc();
            tracing::debug!(connection = client.id(), "its token has ended");
            client.transport.close();
        }
    }
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |now| now.as_secs() as i64)
}
