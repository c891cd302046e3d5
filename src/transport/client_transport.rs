//! The way of events and answers to one client.
//!
//! There are two ways. An engine session that was a WebSocket from its first byte is written to directly, through its
//! [`Connection`]. One that began by polling, which is a stock client's default, goes through socketioxide's queue, also after
//! its upgrade to a WebSocket. A client keeps to one way, so that its events stay in order.
//! Guarantees that events which wait for the client are bounded in bytes, and that one which is not accepted is reported to the
//! caller ([`SendOutcome::Full`], [`SendOutcome::Closed`]). An answer that is not accepted ends the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use serde_json::Value;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::{SendError, SocketError, TransportType};

use super::connection::Connection;
use super::encode;
use super::engine_queue::{EngineQueue, MAX_QUEUED_BYTES};
use super::engine_session::EngineSession;
use crate::delivery::{Backlog, Outgoing, SendOutcome, SubscriberTransport};
use crate::metrics::Transport;
use crate::quota::Holder;

/// A replay pauses when so many bytes wait in a connection.
const PAUSE_AT_BYTES: usize = 256 * 1024;

/// Where the answer to an event goes.
pub(crate) enum Ack {
    /// None was asked for.
    None,
    /// The client waits for one.
    Asked {
        /// The number that the client gave it.
        id: i64,
        /// The way through socketioxide's queue.
        sender: AckSender,
    },
}

/// The way to one client.
pub(crate) struct ClientTransport {
    socket: SocketRef,
    closed: AtomicBool,
    way: Way,
}

enum Way {
    Direct(Arc<Connection>),
    Queue(Arc<EngineQueue>),
}

/// The connection of a socket whose engine session was a WebSocket from its first byte; `None` for one that began by polling, and
/// for one that has ended.
pub(crate) fn own_connection(socket: &SocketRef) -> Option<Arc<Connection>> {
    let connection: &Weak<Connection> = socket.req_parts().extensions.get()?;
    connection.upgrade()
}

/// The engine session that carries a socket.
pub(crate) fn engine_session(socket: &SocketRef) -> Option<&Arc<EngineSession>> {
    socket.req_parts().extensions.get()
}

impl ClientTransport {
    /// Whom limits count it for: its client's address.
    pub(crate) fn address_holder(&self) -> Option<Holder> {
        engine_session(&self.socket)?.holder().cloned()
    }

    /// The way to `socket`, over its [`own_connection`] if it has one.
    pub(crate) fn new(socket: SocketRef, connection: Option<Arc<Connection>>) -> Arc<Self> {
        let way = match connection {
            Some(connection) => Way::Direct(connection),
            None => {
                let queue = Arc::<EngineQueue>::default();
                if let Some(session) = engine_session(&socket) {
                    session.register(&queue);
                }
                Way::Queue(queue)
            }
        };
        Arc::new(Self {
            socket,
            closed: AtomicBool::new(false),
            way,
        })
    }

    /// Whether we have closed it.
    pub(crate) fn was_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether the socket is connected, as far as the engine knows.
    pub(crate) fn is_connected(&self) -> bool {
        self.socket.connected()
    }

    /// How the client is connected now.
    pub(crate) fn kind(&self) -> Transport {
        match self.socket.transport_type() {
            TransportType::Websocket => Transport::Websocket,
            TransportType::Polling => Transport::Polling,
        }
    }

    /// Answers an ack; nothing where none was asked for.
    pub(crate) fn answer(&self, ack: Ack, answer: &Value) {
        let Ack::Asked { id, sender } = ack else {
            return;
        };
        let sent = match &self.way {
            Way::Direct(connection) => {
                connection.send(encode::ack(id, answer)) == SendOutcome::Sent
            }
            Way::Queue(queue) => {
                let bytes = encode::ack(id, answer).len();
                queue.takes_answer(bytes) && sender.send(answer).is_ok()
            }
        };
        if !sent {
            // The client would wait for an answer that never comes.
            self.close();
        }
    }

    fn send_through_queue(&self, queue: &EngineQueue, event: &Outgoing) -> SendOutcome {
        let bytes = event.encoded(encode::event).len();
        let waiting = queue.backlog().waiting_bytes;
        if waiting > 0 && waiting + bytes > MAX_QUEUED_BYTES {
            return SendOutcome::Full;
        }
        queue.add(bytes);
        let (name, payload) = (event.name(), event.payload());
        let emitted = match event.offset() {
            Some(offset) => self.socket.emit(name, &(payload, offset)),
            None => self.socket.emit(name, payload),
        };
        if emitted.is_err() {
            queue.take_back(bytes);
        }
        match emitted {
            Ok(()) => SendOutcome::Sent,
            Err(SendError::Socket(SocketError::InternalChannelFull)) => SendOutcome::Full,
            Err(_) => SendOutcome::Closed,
        }
    }
}

impl SubscriberTransport for ClientTransport {
    fn send(&self, event: &Outgoing) -> SendOutcome {
        if self.was_closed() {
            return SendOutcome::Closed;
        }
        match &self.way {
            Way::Direct(connection) => connection.send(event.encoded(encode::event).clone()),
            Way::Queue(queue) => self.send_through_queue(queue, event),
        }
    }

    fn send_together(&self, events: &[&Outgoing]) -> (usize, SendOutcome) {
        if self.was_closed() {
            return (0, SendOutcome::Closed);
        }
        match &self.way {
            Way::Direct(connection) => {
                let frames = events
                    .iter()
                    .map(|event| event.encoded(encode::event).clone());
                connection.send_together(frames)
            }
            // The engine takes out whatever is there when it comes to write: what is put in together goes out together.
            Way::Queue(queue) => {
                for (taken, event) in events.iter().enumerate() {
                    let outcome = self.send_through_queue(queue, event);
                    if outcome != SendOutcome::Sent {
                        return (taken, outcome);
                    }
                }
                (events.len(), SendOutcome::Sent)
            }
        }
    }

    fn backlog(&self) -> Backlog {
        match &self.way {
            Way::Direct(connection) => {
                let (waiting_bytes, taken_bytes) = connection.meter();
                Backlog {
                    waiting_bytes,
                    taken_bytes,
                    pause_at_bytes: PAUSE_AT_BYTES,
                }
            }
            Way::Queue(queue) => queue.backlog(),
        }
    }

    fn is_closed(&self) -> bool {
        self.was_closed() || !self.is_connected()
    }

    fn close(&self) -> bool {
        if self.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        match &self.way {
            Way::Direct(connection) => connection.cut(),
            // Not `disconnect()`: after the server's DISCONNECT packet a stock client never comes back. A client that polls
            // is told at its next request that its engine session is unknown, and connects anew.
            Way::Queue(queue) => {
                if let Some(connection) = queue.upgraded() {
                    connection.cut();
                }
                if let Some(session) = engine_session(&self.socket) {
                    session.end();
                }
            }
        }
        true
    }
}
