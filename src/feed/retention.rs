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

const PAUSE: Duration = Duration::from_secs(1);

/// Prunes until `stop`.
pub(crate) async fn run(
    mut pruner: Pruner,
    metrics: Metrics,
    checks: Checks,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let has_more = match pruner.prune().await {
            Ok(pruned) => {
                checks.pass(Check::Retention, FoundBy::Operation);
                metrics.pruned.inc_by(pruned.removed);
                pruned.has_more
            }
            Err(error) => {
                let cause = format!(
                    "old events can't be removed, it is tried each second: {}",
                    cause_of(&error)
                );
                checks.fail(Check::Retention, FoundBy::Operation, cause);
                false
            }
        };
        if !has_more {
            let _ = timeout(PAUSE, stop.cancelled()).await;
        }
    }
}
