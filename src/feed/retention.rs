//! Keeps the outbox as short as the retention says.
//!
//! Owns the clock of the pruning; the rule of what may go is [`Pruner`]'s. A failure is reported and tried again: a longer
//! outbox is harmless for a while, a shorter one is not.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::db::{Pruner, cause_of};
use crate::metrics::Metrics;
use crate::status::{Check, Checks, FoundBy};

/// After a failure, and where events are kept for a minute or so.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// Where they are kept for longer, nobody minds whether they go a little later.
const LONG_PAUSE: Duration = Duration::from_secs(15);

/// Prunes what is older than `retention`, until `stop`.
pub(crate) async fn run(
    mut pruner: Pruner,
    retention: Duration,
    metrics: Metrics,
    checks: Checks,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let pause = match pruner.prune().await {
            Ok(pruned) => {
                checks.pass(Check::Retention, FoundBy::Operation);
                metrics.pruned.inc_by(pruned.removed);
                (!pruned.has_more).then(|| pause(retention))
            }
            Err(error) => {
                let cause = format!(
                    "old events can't be removed, it is tried each second: {}",
                    cause_of(&error)
                );
                checks.fail(Check::Retention, FoundBy::Operation, cause);
                Some(SHORT_PAUSE)
            }
        };
        if let Some(pause) = pause {
            let _ = timeout(pause, stop.cancelled()).await;
        }
    }
}

fn pause(retention: Duration) -> Duration {
    (retention / 60).clamp(SHORT_PAUSE, LONG_PAUSE)
}
