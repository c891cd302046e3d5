//! The way out to one socket.
//!
//! Straight through the [`Wire`] where the socket was a WebSocket from its first byte; through socketioxide's queue where
//! it began by polling, also after its upgrade. A socket keeps to one way, so that its order holds.
//! Guarantees: what waits is bounded in bytes, and what is not taken is said to be.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};

use super::client::Ack;
use super::outgoing::{self, Outgoing};
use crate::wire::{Sent, Wire};

/// What may wait in socketioxide's queue, which has room for so many packets of a usual size, and for answers beside them.
const MAX_QUEUED_BYTES: usize = 128 * 1024;

/// What became of an event for one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Sent,
    /// The socket has ended.
    Gone,
    /// Not sent: too much waits for it already.
    Full,
}

/// See the module.
pub(super) struct Outlet {
    ended: AtomicBool,
    way: Way,
}

enum Way {
    Wire(Arc<Wire>),
    Engine(Engine),
}

/// What goes through socketioxide's queue. It tells nobody what is in there: what went in is set against what came out.
/// The answer to a poll holds all that was queued by then, so nothing adds up over time.
struct Engine {
    socket: SocketRef,
    queued_bytes: AtomicU64,
    polled_bytes: AtomicU64,
    /// The connection it was upgraded to, and what had been written to that before.
    upgraded: OnceLock<(Arc<Wire>, u64)>,
}

impl Outlet {
    pub(super) fn new(socket: SocketRef, wire: Option<Arc<Wire>>) -> Self {
        let way = match wire {
            Some(wire) => Way::Wire(wire),
            None => Way::Engine(Engine {
                socket,
                queued_bytes: AtomicU64::new(0),
                polled_bytes: AtomicU64::new(0),
                upgraded: OnceLock::new(),
            }),
        };
        Self {
            ended: AtomicBool::new(false),
            way,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn send(&self, event: &Outgoing) -> Delivery {
        if self.has_ended() {
            return Delivery::Gone;
        }
        match &self.way {
            Way::Wire(wire) => match wire.send(event.frame()) {
                Sent::Taken => Delivery::Sent,
                Sent::Gone => Delivery::Gone,
                Sent::Full => Delivery::Full,
            },
            Way::Engine(engine) => {
                let bytes = event.frame().len();
                let (waiting, _) = engine.meter();
                if waiting > 0 && waiting + bytes > MAX_QUEUED_BYTES {
                    return Delivery::Full;
                }
                match event.emit(&engine.socket) {
                    Ok(()) => {
                        engine
                            .queued_bytes
                            .fetch_add(bytes as u64, Ordering::Relaxed);
                        Delivery::Sent
                    }
                    Err(SendError::Socket(SocketError::InternalChannelFull)) => Delivery::Full,
                    Err(_) => Delivery::Gone,
                }
            }
        }
    }

    /// Answers an ack; nothing where none was asked for.
    pub(super) fn answer(&self, ack: Ack, answer: &Value) {
        let Ack::Asked { id, sender } = ack else {
            return;
        };
        let sent = match &self.way {
            Way::Wire(wire) => wire.send(outgoing::ack_frame(id, answer)) == Sent::Taken,
            Way::Engine(engine) => {
                let bytes = outgoing::ack_frame(id, answer).len() as u64;
                engine.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
                sender.send(answer).is_ok()
            }
        };
        if !sent {
            // An answer that can't be given must not look like one that is still to come.
            self.cut();
        }
    }

    /// A replay pauses when so many bytes wait.
    pub(super) fn high_bytes(&self) -> usize {
        match &self.way {
            Way::Wire(_) => 256 * 1024,
            Way::Engine(_) => MAX_QUEUED_BYTES / 2,
        }
    }

    /// Bytes that wait for the client, and how many it has taken so far.
    pub(super) fn meter(&self) -> (usize, u64) {
        match &self.way {
            Way::Wire(wire) => wire.meter(),
            Way::Engine(engine) => engine.meter(),
        }
    }

    /// A poll has been answered, and took all that was queued.
    pub(super) fn polled(&self) {
        if let Way::Engine(engine) = &self.way {
            let queued = engine.queued_bytes.load(Ordering::Relaxed);
            engine.polled_bytes.fetch_max(queued, Ordering::Relaxed);
        }
    }

    /// The socket is being upgraded to this connection.
    pub(super) fn upgraded(&self, wire: &Arc<Wire>) {
        if let Way::Engine(engine) = &self.way {
            let _ = engine.upgraded.set((wire.clone(), wire.meter().1));
        }
    }

    /// Ends the connection in a way that a stock client reconnects from. True for the first call.
    pub(super) fn cut(&self) -> bool {
        if self.ended.swap(true, Ordering::AcqRel) {
            return false;
        }
        match &self.way {
            Way::Wire(wire) => wire.cut(),
            // Not `disconnect()`: a stock client takes the server's DISCONNECT packet for final. A client that polls is
            // told at its next request that there is no such session.
            Way::Engine(engine) => {
                if let Some((wire, _)) = engine.upgraded.get() {
                    wire.cut();
                }
            }
        }
        true
    }
}

impl Engine {
    fn meter(&self) -> (usize, u64) {
        let written = self
            .upgraded
            .get()
            .map_or(0, |(wire, before)| wire.meter().1.saturating_sub(*before));
        let taken = self.polled_bytes.load(Ordering::Relaxed) + written;
        let waiting = self
            .queued_bytes
            .load(Ordering::Relaxed)
            .saturating_sub(taken);
        (usize::try_from(waiting).unwrap_or(usize::MAX), taken)
    }
}
