//! One engine session, for as long as the engine has it: an extension of the request that opened it.
//!
//! Owns what the engine does not offer: a timer for the handshake, the turn of the session's sockets, and for a session that
//! polls, what its requests and its upgrade have to know of each other.
//! Guarantees that one socket of an engine session is seen off before the next one is let in; that the probe of an upgrade which
//! fails leaves the session as it was; and that the pids of CONNECT packets go out in the packets' order.

mod arrival;
mod polling_state;
mod upgrade;

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::client_packet::{self, ClientPackets};
use super::close_code::CloseCode;
use super::engine_queue::EngineQueue;
use crate::metrics::Metrics;
use crate::quota::{Holder, Pace, Place};
pub(super) use polling_state::Interrupt;
use polling_state::{Polling, PollingState, Upgrade};

/// The turn of one socket of an engine session, until it is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// One engine session.
pub(crate) struct EngineSession {
    handshake_due: Instant,
    connected: AtomicBool,
    left: AtomicBool,
    metrics: Metrics,
    /// Counted for as long as the engine has the session: after a client that never said CONNECT, until its time for that is over.
    place: Place,
    connects: Pace,
    /// Held by the socket that is connected. A client may leave the namespace and connect anew on one engine session.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// `None` for a session that was a WebSocket from its first byte.
    polling: Option<Box<Polling>>,
}

impl EngineSession {
    /// A session that is a WebSocket from its first byte.
    pub(super) fn websocket(limit: Duration, metrics: Metrics, place: Place) -> Arc<Self> {
        Self::new(limit, metrics, place, None)
    }

    /// A session that begins by polling, and takes these packets.
    pub(super) fn polling(
        limit: Duration,
        packets: ClientPackets,
        metrics: Metrics,
        place: Place,
    ) -> Arc<Self> {
        Self::new(limit, metrics, place, Some(Box::new(Polling::new(packets))))
    }

    fn new(
        limit: Duration,
        metrics: Metrics,
        place: Place,
        polling: Option<Box<Polling>>,
    ) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            handshake_due: now + limit,
            connected: AtomicBool::new(false),
            left: AtomicBool::new(false),
            metrics,
            place,
            connects: Pace::new(now),
            turn: Arc::default(),
            polling,
        })
    }

    /// Whom it is counted for: its client's address.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        self.place.holder()
    }

    /// Waits until the socket before this one, if there was one, has been seen off.
    pub(crate) async fn turn(&self) -> Turn {
        self.turn.clone().lock_owned().await
    }

    /// Says which pid the next CONNECT packet is to carry, of a session that began by polling.
    pub(crate) fn expect_connect(&self, pid: &str) {
        let Some(mut state) = self.state() else {
            return;
        };
        match &state.upgrade {
            Upgrade::Done(connection) => {
                if let Some(connection) = connection.upgrade() {
                    connection.push_pid(pid);
                }
            }
            _ => {
                state.pids.push_back(pid.into());
                state.awaits_welcome = true;
            }
        }
    }

    /// The socket that CONNECT was sent to has its handlers, or will never have them.
    pub(crate) fn set_welcomed(&self) {
        if let Some(polling) = &self.polling {
            polling.state().awaits_welcome = false;
            polling.welcomed.notify_waiters();
        }
    }

    /// Waits until a client that polls may be given the CONNECT packet. socketioxide sends it before the socket is ready: a
    /// client that leaves and connects again in between would get no answer.
    pub(super) async fn welcome(&self) {
        if let Some(polling) = &self.polling {
            polling.welcome().await;
        }
    }

    /// The next CONNECT_ERROR packet says this, which is JSON, beside its message, of a session that began by polling.
    pub(crate) fn expect_refusal(&self, data: &'static str) {
        let Some(mut state) = self.state() else {
            return;
        };
        match &state.upgrade {
            Upgrade::Done(connection) => {
                if let Some(connection) = connection.upgrade() {
                    connection.refuse(data);
                }
            }
            _ => state.refusal = Some(data),
        }
    }

    /// A socket is connected, and sends through this queue.
    pub(super) fn register(&self, queue: &Arc<EngineQueue>) {
        let Some(mut state) = self.state() else {
            return;
        };
        state.queue = Some(Arc::downgrade(queue));
        if let Upgrade::Done(connection) = &state.upgrade
            && let Some(connection) = connection.upgrade()
        {
            queue.set_upgraded(&connection);
        }
    }

    /// Ends the session: its client is told to connect anew. After a DISCONNECT packet a stock client would never come back.
    pub(super) fn end(&self) {
        if let Some(mut state) = self.state() {
            state.ended = true;
        }
        self.leave();
        self.wake_poll();
    }

    /// Whether the session goes on over a WebSocket.
    pub(super) fn is_upgraded(&self) -> bool {
        self.state()
            .is_some_and(|state| matches!(state.upgrade, Upgrade::Done(_)))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().is_some_and(|state| state.ended)
    }

    /// Has this called when the engine lets go of the session, which must be one that polls.
    pub(super) fn on_end(&self, call: impl Fn() + Send + Sync + 'static) {
        if let Some(polling) = &self.polling {
            let _ = polling.on_end.set(Box::new(call));
        }
    }

    /// An answer to a poll has everything that was queued.
    pub(super) fn poll_emptied(&self) {
        let queue = self.state().and_then(|state| state.queue.clone());
        if let Some(queue) = queue.and_then(|queue| queue.upgrade()) {
            queue.poll_emptied();
        }
    }

    /// Whether a CONNECT packet is expected, or a CONNECT_ERROR packet.
    pub(super) fn expects_connect(&self) -> bool {
        self.state()
            .is_some_and(|state| !state.pids.is_empty() || state.refusal.is_some())
    }

    /// The data for the CONNECT_ERROR packet that is being sent.
    pub(super) fn take_refusal(&self) -> Option<&'static str> {
        self.state()?.refusal.take()
    }

    /// The pid for the CONNECT packet that is being sent.
    pub(super) fn take_pid(&self) -> Option<Box<str>> {
        self.state()?.pids.pop_front()
    }

    /// Begins a POST. `None`: another one is under way.
    pub(super) fn begin_post(self: &Arc<Self>) -> Option<PostGuard> {
        let mut state = self.state()?;
        let is_first = !std::mem::replace(&mut state.posting, true);
        is_first.then(|| PostGuard(self.clone()))
    }

    /// The body of a POST as the engine gets it.
    ///
    /// # Errors
    /// The client may not send this.
    pub(super) fn read_body<'a>(&self, body: &'a str) -> Result<Cow<'a, str>, CloseCode> {
        let Some(polling) = &self.polling else {
            return Ok(Cow::Borrowed(body));
        };
        let mut packets = polling
            .packets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let read = packets
            .body(body, Instant::now())
            .inspect_err(|code| code.count(&self.metrics))?;
        if client_packet::closes(body) {
            self.leave();
        }
        Ok(read)
    }

    /// Waits until a poll has to be answered although the engine has nothing for the client.
    pub(super) async fn interrupted(&self) -> Interrupt {
        match &self.polling {
            Some(polling) => polling.interrupted().await,
            None => std::future::pending().await,
        }
    }

    fn state(&self) -> Option<MutexGuard<'_, PollingState>> {
        self.polling.as_ref().map(|polling| polling.state())
    }

    fn wake_poll(&self) {
        if let Some(polling) = &self.polling {
            polling.changed.notify_waiters();
        }
    }
}

impl Drop for EngineSession {
    fn drop(&mut self) {
        self.leave();
        let on_end = self
            .polling
            .as_mut()
            .and_then(|polling| polling.on_end.take());
        if let Some(on_end) = on_end {
            on_end();
        }
    }
}

/// A POST that is under way, until it is dropped.
pub(super) struct PostGuard(Arc<EngineSession>);

impl Drop for PostGuard {
    fn drop(&mut self) {
        if let Some(mut state) = self.0.state() {
            state.posting = false;
        }
    }
}
