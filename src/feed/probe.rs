//! Asks the database for what can't be seen from inside.
//!
//! Sends a notification of our own, which the listener must hear: a connection that is up and hears nothing is the
//! failure that no other check finds. And takes the outbox's figures for the metrics.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::db::{Pool, send_probe, stats};
use crate::metrics::Metrics;

const PAUSE: Duration = Duration::from_secs(3);
/// Every so many probes, the figures.
const FIGURES: u64 = 5;

/// Probes until `stop`. `server_name` begins the payload, so that servers on one database tell their probes apart.
pub(crate) async fn run(
    pool: Pool,
    server_name: String,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for count in 0_u64.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let probed = timeout(PAUSE, send_probe(&pool, &format!("{server_name}:{count}"))).await;
        if let Ok(Err(error)) = probed {
            tracing::debug!("the self-probe could not be sent: {error}");
        }
        if count.is_multiple_of(FIGURES)
            && let Ok(Ok(stats)) = timeout(PAUSE, stats(&pool)).await
        {
            metrics.outbox_rows.set(stats.rows);
            metrics.outbox_bytes.set(stats.bytes);
            metrics.notify_queue.set(stats.notify_queue);
        }
    }
}
