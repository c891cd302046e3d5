//! The way of events and answers to one client.
//!
//! There are two ways. An engine session that was a WebSocket from its first byte is written to directly, through its
//! [`Connection`]. One that began by polling goes through socketioxide's queue, also after its upgrade to a WebSocket. A client
//! keeps to one way, so that its events stay in order.
//! Guarantees that what waits for the client is bounded in bytes, and that an event which is not accepted is reported
//! ([`SendOutcome::Full`], [`SendOutcome::Closed`]), never dropped in silence.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::{SendError, SocketError, TransportType};

use super::connection::Connection;
use super::encode;
use super::query::query_value;
use crate::delivery::{Backlog, Outgoing, SendOutcome, SubscriberTransport};
use crate::metrics::Transport;

/// Bytes of events that may wait in socketioxide's queue. The queue itself is bounded by a number of packets; with events of a
/// usual size this bound is reached first, and leaves room for answers.
const MAX_QUEUED_BYTES: usize = 128 * 1024;
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
    Queue(EngineQueue),
}

/// Counts what goes through socketioxide's queue, which does not say how full it is: what waits is what went in minus what came
/// out. An answer to a poll empties the queue, so an error in the count never grows.
#[derive(Default)]
struct EngineQueue {
    queued_bytes: AtomicU64,
    polled_bytes: AtomicU64,
    /// The connection that the engine session was upgraded to, and the bytes that had been written to it before.
    upgraded: OnceLock<(Arc<Connection>, u64)>,
}

/// The connection of a socket whose engine session was a WebSocket from its first byte; `None` for one that began by polling.
pub(crate) fn own_connection(socket: &SocketRef) -> Option<Arc<Connection>> {
    let request = socket.req_parts();
    let websocket = query_value(&request.uri, "transport") == Some("websocket");
    request
        .extensions
        .get::<Arc<Connection>>()
        .filter(|_| websocket)
        .cloned()
}

impl ClientTransport {
    /// The way to `socket`, over its [`own_connection`] if it has one.
    pub(crate) fn new(socket: SocketRef, connection: Option<Arc<Connection>>) -> Arc<Self> {
        let way = match connection {
            Some(connection) => Way::Direct(connection),
            None => Way::Queue(EngineQueue::default()),
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

    /// The id of the engine session, which requests name. A secret: never logged, never shown.
    pub(crate) fn engine_session_id(&self) -> &str {
        self.socket.id.as_str()
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
                let bytes = encode::ack(id, answer).len() as u64;
                queue.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
                sender.send(answer).is_ok()
            }
        };
        if !sent {
            // The client would wait for an answer that never comes.
            self.close();
        }
    }

    /// A poll has been answered: its answer has everything that was queued.
    pub(super) fn poll_answered(&self) {
        if let Way::Queue(queue) = &self.way {
            let queued = queue.queued_bytes.load(Ordering::Relaxed);
            queue.polled_bytes.fetch_max(queued, Ordering::Relaxed);
        }
    }

    /// The engine session is being upgraded to this connection.
    pub(super) fn set_upgraded(&self, connection: &Arc<Connection>) {
        if let Way::Queue(queue) = &self.way {
            let _ = queue
                .upgraded
                .set((connection.clone(), connection.meter().1));
        }
    }

    fn send_through_queue(&self, queue: &EngineQueue, event: &Outgoing) -> SendOutcome {
        let bytes = event.encoded(encode::event).len();
        let waiting = queue.backlog().waiting_bytes;
        if waiting > 0 && waiting + bytes > MAX_QUEUED_BYTES {
            return SendOutcome::Full;
        }
        let (name, payload) = (event.name(), event.payload());
        let emitted = match event.offset() {
            Some(offset) => self.socket.emit(name, &(payload, offset)),
            None => self.socket.emit(name, payload),
        };
        match emitted {
            Ok(()) => {
                queue
                    .queued_bytes
                    .fetch_add(bytes as u64, Ordering::Relaxed);
                SendOutcome::Sent
            }
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
                if let Some((connection, _)) = queue.upgraded.get() {
                    connection.cut();
                }
            }
        }
        true
    }
}

impl EngineQueue {
    fn backlog(&self) -> Backlog {
        let written = self.upgraded.get().map_or(0, |(connection, before)| {
            connection.meter().1.saturating_sub(*before)
        });
        let taken_bytes = self.polled_bytes.load(Ordering::Relaxed) + written;
        let waiting = self
            .queued_bytes
            .load(Ordering::Relaxed)
            .saturating_sub(taken_bytes);
        Backlog {
            waiting_bytes: usize::try_from(waiting).unwrap_or(usize::MAX),
            taken_bytes,
            pause_at_bytes: MAX_QUEUED_BYTES / 2,
        }
    }
}
