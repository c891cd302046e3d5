//! Whether the client of an engine session becomes a Socket.IO client: in time, not too often, or not at all.
//!
//! Guarantees that a client which leaves before CONNECT is not taken for one that was too slow, and keeps no place of its address.
//! socketioxide holds what it knows of such a client for as long as CONNECT might have taken, so that still counts in all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::EngineSession;
use crate::metrics::Limit;

/// How often a client may connect on one engine session: a stock client does once, and again only when its page disconnects and
/// connects anew.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);

impl EngineSession {
    /// Counts a CONNECT packet; false when it is one too many. Each begins a resume session, and may ask the database for one.
    pub(crate) fn take_connect(&self, now: Instant) -> bool {
        self.connects.take(CONNECT_PAUSE, now)
    }

    pub(in crate::transport) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// CONNECT has come.
    pub(crate) fn set_connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
    }

    /// Whether it was a WebSocket from its first byte, and so has a connection of its own.
    pub(crate) fn is_websocket(&self) -> bool {
        self.polling.is_none()
    }

    /// The client has gone. If it never said CONNECT, the engine waits for that all the same, but no share of its address is kept.
    pub(in crate::transport) fn leave(&self) {
        if self.left.swap(true, Ordering::Relaxed) || self.is_connected() {
            return;
        }
        self.place.give_share_back();
        // Later than that, it was sent away.
        if Instant::now() >= self.handshake_due {
            self.metrics.limits(Limit::HandshakeTime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::metrics::Metrics;
    use crate::quota::{Holder, Places};

    const LIMIT: Duration = Duration::from_secs(10);

    /// Whether its address has a place again when it has left, and whether it was found too slow in the end.
    fn after_leaving(limit: Duration, says_connect: bool) -> (bool, bool) {
        let (metrics, registry) = Metrics::new();
        let places = Places::new(10, 1);
        let holder = Holder::at([10, 0, 0, 1].into());
        let place = places.take(Some(holder.clone())).expect("a place");
        let mut session = EngineSession::websocket(limit, metrics, place);
        if says_connect {
            session.set_connected();
        }
        session.leave();
        let has_place = places.of(&holder) == 0;
        // The engine lets go of it later than that.
        let kept = Arc::get_mut(&mut session).expect("nobody else has it");
        kept.handshake_due = Instant::now();
        drop(session);
        assert_eq!(places.of(&holder), 0);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        (has_place, text.contains(r#"limit="handshake_time"} 1"#))
    }

    #[test]
    fn who_leaves_early_is_not_taken_for_slow_and_keeps_no_place() {
        assert_eq!(after_leaving(LIMIT, false), (true, false));
        assert_eq!(
            after_leaving(Duration::ZERO, false),
            (true, true),
            "sent away"
        );
        assert_eq!(after_leaving(LIMIT, true), (false, false), "seen off first");
    }
}
