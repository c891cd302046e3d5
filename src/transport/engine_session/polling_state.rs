//! What the requests and the upgrade of a session that polls have to know of each other.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::transport::client_packet::ClientPackets;
use crate::transport::connection::Connection;
use crate::transport::engine_queue::EngineQueue;

/// How long a CONNECT packet is kept from its client, at most.
const WELCOME_LIMIT: Duration = Duration::from_secs(1);
/// How long a poll waits while a client is about to change to its WebSocket. It sends its last packet only after the poll that
/// it has under way is answered.
const UPGRADE_POLL: Duration = Duration::from_millis(100);

pub(super) struct Polling {
    /// Called when the engine lets go of the session.
    pub(super) on_end: OnceLock<OnEnd>,
    state: Mutex<PollingState>,
    /// What the client sends by POSTs, of which one at a time is read.
    pub(super) packets: Mutex<ClientPackets>,
    /// Wakes a poll that waits, when `state` has a reason to answer it.
    pub(super) changed: Notify,
    /// Wakes an answer with CONNECT that waits until its socket can be left.
    pub(super) welcomed: Notify,
}

#[derive(Default)]
pub(super) struct PollingState {
    /// Ended by us: whatever the client asks, it is told to connect anew.
    pub(super) ended: bool,
    /// A POST is under way.
    pub(super) posting: bool,
    /// The queue of the socket that is connected.
    pub(super) queue: Option<Weak<EngineQueue>>,
    /// For the CONNECT packets that have not been sent yet.
    pub(super) pids: VecDeque<Box<str>>,
    /// CONNECT may have been sent, and its socket has no disconnect handler yet.
    pub(super) awaits_welcome: bool,
    /// What the next CONNECT_ERROR packet says beside its message.
    pub(super) refusal: Option<&'static str>,
    pub(super) upgrade: Upgrade,
}

#[derive(Default)]
pub(super) enum Upgrade {
    #[default]
    None,
    /// A WebSocket is open, and nothing has come over it yet.
    Probing,
    /// The client has been answered on it: its next packet there is the last step.
    Probed,
    Done(Weak<Connection>),
}

pub(super) type OnEnd = Box<dyn Fn() + Send + Sync>;

/// Why a poll is answered although the engine has nothing for the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum Interrupt {
    /// The client changes to its WebSocket.
    Upgrade,
    /// The session has ended.
    Ended,
}

impl Polling {
    pub(super) fn new(packets: ClientPackets) -> Self {
        Self {
            on_end: OnceLock::new(),
            state: Mutex::default(),
            packets: Mutex::new(packets),
            changed: Notify::new(),
            welcomed: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, PollingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the socket of the last CONNECT packet has its handlers: what the client sends in answer must find them.
    pub(super) async fn welcome(&self) {
        let mut welcomed = std::pin::pin!(self.welcomed.notified());
        welcomed.as_mut().enable();
        if self.state().awaits_welcome {
            let _either_way = timeout(WELCOME_LIMIT, welcomed).await;
        }
    }

    /// Waits until a poll has to be answered although the engine has nothing for the client.
    pub(super) async fn interrupted(&self) -> Interrupt {
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        let now = self.state().interrupt();
        match now {
            Some(Interrupt::Ended) => return Interrupt::Ended,
            // Not at once: a client whose WebSocket carries nothing back polls on until its probe has timed out.
            Some(Interrupt::Upgrade) => {
                let _either_way = timeout(UPGRADE_POLL, changed).await;
            }
            None => changed.await,
        }
        self.state().interrupt().unwrap_or(Interrupt::Upgrade)
    }
}

impl PollingState {
    /// Why a poll has to be answered now, if it has.
    fn interrupt(&self) -> Option<Interrupt> {
        match self.upgrade {
            _ if self.ended => Some(Interrupt::Ended),
            Upgrade::Probed | Upgrade::Done(_) => Some(Interrupt::Upgrade),
            Upgrade::None | Upgrade::Probing => None,
        }
    }
}
