//! Where a socket's events go, also before there is a client to handle them.
//!
//! A client may send events as soon as it has CONNECT, while the connect handler is still at work. They wait in the inbox.
//! Events beyond the inbox's bound are refused by an answer; while there is no client that could be answered, they are
//! remembered as a flood, and the connection is ended once it is connected.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use socketioxide::extract::AckSender;
use tokio::time::Instant;

use crate::socketio::client::Client;
use crate::socketio::inbox::{Inbox, Pushed};
use crate::socketio::packet::Packet;
use crate::socketio::protocol::Refusal;
use crate::transport::Turn;

/// The inbox of a socket, and its client once there is one.
pub(super) struct Entrance {
    pub(super) inbox: Arc<Inbox>,
    /// Set when the socket is connected. Weak: the socket's handlers hold the entrance, and the client holds the socket.
    client: OnceLock<Weak<Client>>,
    /// Set when an event was dropped because nobody could be told that it is refused.
    flooded: AtomicBool,
    /// The socket's turn on its engine session, until it has been seen off.
    turn: Mutex<Option<Turn>>,
}

impl Entrance {
    pub(super) fn new(inbox: Arc<Inbox>, turn: Option<Turn>) -> Arc<Self> {
        Arc::new(Self {
            turn: Mutex::new(turn),
            inbox,
            client: OnceLock::new(),
            flooded: AtomicBool::new(false),
        })
    }

    /// Names the client that handles the events from now on.
    pub(super) fn set_client(&self, client: &Arc<Client>) {
        // A socket is connected once.
        let _ = self.client.set(Arc::downgrade(client));
    }

    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.client.get()?.upgrade()
    }

    /// The socket has been seen off: the client may connect anew on the same engine session.
    pub(super) fn end_turn(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *turn = None;
    }

    /// Whether an event was dropped without an answer: the client must not take it for handled.
    pub(super) fn was_flooded(&self) -> bool {
        self.flooded.load(Ordering::Acquire)
    }

    /// Puts an event into the inbox. True: the caller must handle what is in there.
    pub(super) fn push(&self, packet: Packet, sender: AckSender) -> bool {
        match self.inbox.push(packet.into_waiting(sender), Instant::now()) {
            Pushed::Work => true,
            Pushed::Waits => false,
            Pushed::Full(event) => {
                match self.client() {
                    // Queueing the refusal would use the space that is lacking, so it is answered out of order.
                    Some(client) => client.refuse(&Refusal::TooManyRequests, event.ack),
                    None => self.flooded.store(true, Ordering::Release),
                }
                false
            }
        }
    }
}
