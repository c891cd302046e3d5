//! How the reader follows busy writers, who notify nobody: it reads again and again.
//!
//! Each read costs the database much the same whether it finds one event or thirty, and the readers of other servers read as well.
//! So the reader takes a small share of the database's time: the later the database answers, because many readers and writers
//! want something of it, the longer the reader pauses, and the more events its next read finds.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{CROWD, Reader};
use crate::delivery::EventSink;
use crate::feed::event_feed::EventFeed;
use crate::offset::Offset;

/// The shortest pause between two reads, while the database answers at once.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// The longest one.
const LONGEST_BUSY_PAUSE: Duration = Duration::from_millis(20);
/// A pause is as long as so many answers: the reader is in the database for a quarter of the time at most.
const PAUSE_ANSWERS: u32 = 3;
/// Writers are not busy any more after so many windows in a row without an event, or with few and no crowd. Longer in all
/// than a flush on a slow disk, or the pause between two groups of commits would pass for the end.
const QUIET_WINDOWS: u32 = 3;
const WINDOW: Duration = Duration::from_millis(10);
const FEW_EVENTS: usize = 5;

impl<F: EventFeed, K: EventSink> Reader<F, K> {
    /// Reads without being notified, until it has been quiet for a while.
    pub(super) async fn stay_awake(
        &mut self,
        position: &mut Offset,
        stop: &CancellationToken,
    ) -> Result<(), F::Error> {
        let mut quiet = 0;
        while quiet < QUIET_WINDOWS && !stop.is_cancelled() && !self.feed.turns() {
            let (begun, mut events) = (Instant::now(), 0);
            while begun.elapsed() < WINDOW {
                events += self.read(position).await?;
                sleep(busy_pause(self.answered_within)).await;
            }
            let calm = events == 0 || (events < FEW_EVENTS && self.feed.writers().await? < CROWD);
            quiet = if calm { quiet + 1 } else { 0 };
        }
        Ok(())
    }
}

/// The pause after a read that the database answered within that time.
pub(super) fn busy_pause(answered_within: Duration) -> Duration {
    (answered_within * PAUSE_ANSWERS).clamp(BUSY_PAUSE, LONGEST_BUSY_PAUSE)
}
