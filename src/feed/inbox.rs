//! Brings the chat tables' list of conversations up to date where a commit could not.
//!
//! Most commits do it themselves. Those that are REPEATABLE READ or SERIALIZABLE don't, and some can't for a moment: what they leave is
//! settled here, within a second or two (migrations/chat/0003_inbox.sql). So is what was there before the list was.
//! Such a commit writes messages, so the database is asked after the reader has read events, and seldom while there are none.
//! Several servers share the work: each takes what no other one has in hand. A failure is told once, and tried again.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use crate::db::{Pool, cause_of, is_transient, settle_some};
use crate::metrics::Metrics;

const PAUSE: Duration = Duration::from_secs(1);
/// Where there is no list, since the chat tables may be made while the server runs; and where no event tells of a commit, since the
/// messages may be detached.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// Settles until `stop`.
pub(crate) async fn run(pool: Pool, metrics: Metrics, stop: CancellationToken) {
    let mut outage = Outage::default();
    loop {
        let seen = metrics.events_read.get();
        let settled = tokio::select! {
            () = stop.cancelled() => return,
            settled = settle_some(&pool) => settled,
        };
        let (pause, problem) = match settled {
            Ok(None) => (LONG_PAUSE, None),
            Ok(Some(done)) if done.settled > 0 && done.failed == 0 => (Duration::ZERO, None),
            Ok(Some(done)) if done.failed > 0 => (PAUSE, done.problem),
            Ok(Some(_)) => (LONG_PAUSE, None),
            // The reader says that the database is away.
            Err(error) if is_transient(&error) => (PAUSE, None),
            Err(error) => (LONG_PAUSE, Some(cause_of(&error))),
        };
        match problem {
            Some(cause) => {
                if outage.is_news(&cause) {
                    tracing::warn!(
                        "public.conversations is not up to date, which is tried again and again: {cause}"
                    );
                }
            }
            None => {
                if outage.ends() {
                    tracing::info!("public.conversations is up to date again");
                }
            }
        }
        let waited = Instant::now();
        while timeout(pause.min(PAUSE), stop.cancelled()).await.is_err()
            && waited.elapsed() < pause
            && metrics.events_read.get() == seen
        {}
    }
}
