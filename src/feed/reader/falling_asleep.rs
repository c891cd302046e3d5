//! How the reader falls asleep, and what it does while the key is somebody else's.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{BUSY_EVENTS, CROWD, Reader};
use crate::delivery::EventSink;
use crate::feed::event_feed::EventFeed;
use crate::metrics::WakeSource;
use crate::offset::Offset;

/// A key that can't be had for so long is not held by writers who test it, but by somebody else.
pub(super) const KEY_PATIENCE: Duration = Duration::from_secs(1);
/// Without the key: who has it makes writers notify, and who gives it up tells nobody.
const KEYLESS_POLL: Duration = Duration::from_millis(200);
/// While a writer is waited for: a few short pauses, then longer ones.
pub(super) const WAIT_SHORT: Duration = Duration::from_millis(2);
pub(super) const WAIT_LONG: Duration = Duration::from_millis(20);
pub(super) const SHORT_WAITS: u32 = 10;

/// What came of the attempt to sleep.
pub(super) enum Fallen {
    Asleep,
    /// There is too much to do.
    Busy,
    /// The key can't be had.
    Denied,
}

impl<F: EventFeed, K: EventSink> Reader<F, K> {
    /// Reads once, when woken or soon.
    pub(super) async fn wait_without_key(
        &mut self,
        position: &mut Offset,
        stop: &CancellationToken,
    ) -> Result<(), F::Error> {
        let source = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            woken = timeout(KEYLESS_POLL.min(self.poll), self.wake.changed()) => match woken {
                Ok(_) => WakeSource::Notify,
                Err(_) => WakeSource::Poll,
            },
        };
        self.metrics.wakes(source);
        self.read(position).await.map(|_| ())
    }

    /// Takes the key and makes sure that no writer tested it too early.
    pub(super) async fn fall_asleep(
        &mut self,
        position: &mut Offset,
        stop: &CancellationToken,
    ) -> Result<Fallen, F::Error> {
        if !self.feed.enable_notify().await? {
            return Ok(Fallen::Denied);
        }
        let begun = Instant::now();
        for wait in 0.. {
            let writers = self.feed.writers().await?;
            let events = self.read(position).await?;
            if events >= BUSY_EVENTS || (events > 0 && writers >= CROWD) {
                self.feed.disable_notify().await?;
                return Ok(Fallen::Busy);
            }
            if stop.is_cancelled() || writers == 0 {
                return Ok(Fallen::Asleep);
            }
            let pause = writer_pause(wait, begun.elapsed(), self.poll);
            // A notified commit need not wait for the pause to end, nor does the stop.
            tokio::select! {
                () = stop.cancelled() => {}
                _ = timeout(pause, self.wake.changed()) => {}
            }
        }
        Ok(Fallen::Asleep)
    }
}

/// The pause before the next look at a writer that may have tested the key too early, and has been waited for so long: a
/// quarter of that, so that a transaction which stays open costs no more than the poll does, and one that ends without
/// having written again is delivered late by a quarter of its age at most. One that writes again notifies.
pub(super) fn writer_pause(wait: u32, waited: Duration, poll: Duration) -> Duration {
    if wait < SHORT_WAITS {
        WAIT_SHORT
    } else {
        (waited / 4).max(WAIT_LONG).min(poll.max(WAIT_LONG))
    }
}
