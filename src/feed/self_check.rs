//! Finds out what a server can't do before a client does.
//!
//! Looks at the rights, at row security and at whether the database takes writes, and rehearses what a join does in a transaction
//! that is rolled back, and sees whether the disk takes another page. Rarely while all is well, so that an idle server is quiet; often while something fails, so that its end
//! is known soon. Each look takes a probe along (see `probe`), which saves a statement.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::probe::Probes;
use crate::db::SelfCheck;
use crate::status::Checks;

const PAUSE: Duration = Duration::from_secs(3);
/// While nothing fails: every so many pauses the catalog is looked at, and every so many a join is rehearsed.
const LOOK: u64 = 2;
const REHEARSE: u64 = 4;
/// Every so many pauses, the disk is tried.
const WRITE: u64 = 10;

/// Checks until `stop`.
pub(crate) async fn run(
    self_check: SelfCheck,
    checks: Checks,
    probes: Probes,
    stop: CancellationToken,
) {
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for count in 0_u64.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let fails = checks.any_fails();
        tokio::select! {
            () = stop.cancelled() => return,
            () = async {
                if fails {
                    // Without a probe: the probe's own statement has to see the end of what fails.
                    self_check.look().await;
                } else if count.is_multiple_of(LOOK) {
                    let look = async |probe: &str| self_check.look_and_probe(probe).await;
                    if !probes.send_by(look).await {
                        self_check.look().await;
                    }
                }
                if fails || count.is_multiple_of(REHEARSE) {
                    self_check.rehearse().await;
                }
                if fails || count.is_multiple_of(WRITE) {
                    self_check.write_pages().await;
                }
            } => {}
        }
    }
}
