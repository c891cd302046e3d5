//! Keeps the outbox as short as the retention says.
//!
//! Owns the clock of the pruning; the rule of what may go is [`Pruner`]'s. A failure is logged and tried again:
//! a longer outbox is harmless, a shorter one is not.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::db::Pruner;
use crate::metrics::Metrics;

const PAUSE: Duration = Duration::from_secs(1);

/// Prunes until `stop`.
pub(crate) async fn run(mut pruner: Pruner, metrics: Metrics, stop: CancellationToken) {
    let mut failing = false;
    while !stop.is_cancelled() {
        let has_more = match pruner.prune().await {
            Ok(pruned) => {
                failing = false;
                metrics.pruned.inc_by(pruned.removed);
                pruned.has_more
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(
                        "pruning the outbox failed, it is tried again each second: {error}"
                    );
                }
                failing = true;
                false
            }
        };
        if !has_more {
            let _ = timeout(PAUSE, stop.cancelled()).await;
        }
    }
}
