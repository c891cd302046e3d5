//! The end of a socket, told in the right order.
//!
//! Why it exists: socketioxide takes a socket out of its namespace only after the disconnect handler has run, and drops a CONNECT
//! packet that comes before that without an answer. A stock client that disconnects and connects again sends both at once.

use std::sync::Arc;

use socketioxide::SocketIo;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::SocketRef;
use socketioxide::handler::DisconnectHandler;
use socketioxide::socket::{DisconnectReason, Socket};

/// Whether a socket has been disconnected, also before it had a disconnect handler. socketioxide marks a socket as connected only
/// after its CONNECT packet went out: a client that leaves in between is gone from the namespace, and marked as connected.
pub(super) fn has_departed(io: &SocketIo, socket: &SocketRef) -> bool {
    let present = io
        .of("/")
        .and_then(|namespace| namespace.get_socket(socket.id));
    !socket.connected() || present.is_none_or(|present| !std::ptr::eq(&*present, &**socket))
}

/// A disconnect handler that runs after the socket has left its namespace.
pub(super) struct Departure<H>(pub(super) H);

impl<H, T> DisconnectHandler<LocalAdapter, T> for Departure<H>
where
    H: DisconnectHandler<LocalAdapter, T>,
{
    fn call_with_defer(
        &self,
        socket: Arc<Socket<LocalAdapter>>,
        reason: DisconnectReason,
        leave_namespace: fn(Arc<Socket<LocalAdapter>>),
    ) {
        leave_namespace(socket.clone());
        self.0.call(socket, reason);
    }
}
