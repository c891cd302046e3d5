//! The end of all clients, when the server stops: how far each was served is stored, then they are cut, then the engine is closed.
//!
//! Relies on `app::stop` for the order: no connection is accepted any more, and the broadcast goes on until the last client is cut.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::SocketServer;
use crate::delivery::SubscriberTransport as _;

/// The pause between cutting two clients when the server stops.
const CUT_PAUSE: Duration = Duration::from_millis(1);
/// The most that it takes to cut all: whoever was cut first waits for the next server for as long.
const CUT_SPREAD: Duration = Duration::from_millis(400);

/// Over what time so many clients are cut.
fn cut_spread(clients: usize) -> Duration {
    let pauses = CUT_PAUSE * u32::try_from(clients).unwrap_or(u32::MAX);
    pauses.min(CUT_SPREAD)
}

impl SocketServer {
    /// Stores how far each client was served: one that comes back to another server must find it in its session. Gives up after
    /// `patience`.
    pub(crate) async fn store_progress(&self, patience: Duration) {
        let stored = self.clients.store_progress(&self.hub, &self.sessions);
        match timeout(patience, stored).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("how far clients were served could not be stored: {error}");
            }
            Err(_) => tracing::warn!("how far clients were served could not be stored in time"),
        }
    }

    /// Closes every client, spread over a moment and `most` at most, because clients that are closed at the same instant would all
    /// resume at the same instant. They see a closed transport and reconnect by themselves, those that poll at their next request.
    /// Newcomers must be refused before (`closing_clients`), and no connection may be accepted any more.
    pub(crate) async fn cut_clients(&self, most: Duration) {
        let clients = self.clients.all();
        let spread = cut_spread(clients.len()).min(most);
        let begun = Instant::now();
        let count = clients.len().max(1) as f64;
        for (index, client) in clients.into_iter().enumerate() {
            sleep_until(begun + spread.mul_f64(index as f64 / count)).await;
            client.transport.close();
        }
        // Those who were on their way in when it began.
        for client in self.clients.all() {
            client.transport.close();
        }
    }

    /// Has socketioxide close what is left, after [`SocketServer::cut_clients`]: it would tell a newcomer that there is no such
    /// namespace, and a stock client then gives up for ever.
    pub(crate) async fn close_engine(&self, patience: Duration) {
        self.closing.store(true, Ordering::Release);
        if timeout(patience, self.io.close()).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_cut_first_does_not_wait_for_thousands() {
        assert_eq!(cut_spread(20), Duration::from_millis(20));
        assert_eq!(cut_spread(3_000), Duration::from_millis(400));
    }
}
