//! A listening socket: how many wait in it, and how it is closed so that none of them is refused.
//!
//! The kernel resets the connections that wait in a socket which is closed. One that was passed to the process is held by somebody else
//! as well, and they wait on. Of any other, what waits is accepted first. A handshake of TCP that is half done in that moment is
//! reset all the same, unless the kernel hands it to another socket of the address (`net.ipv4.tcp_migrate_req`).

use std::net::IpAddr;

use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel holds until they are accepted. After a crash all clients come back at once, and one that
/// finds no place tries again a second later. The kernel's own limit applies too (`net.core.somaxconn`).
pub(crate) const WAITING_CONNECTIONS: u32 = 4096;

/// A socket that listens.
pub(crate) struct ListeningSocket {
    /// The socket.
    pub listener: TcpListener,
    /// Somebody else holds it as well: what waits in it is for the next server.
    pub is_passed: bool,
}

impl ListeningSocket {
    /// It listens already, perhaps with the standard library's 128: this raises that.
    pub(super) fn raise_queue(&self) {
        if let Err(error) = rustix::net::listen(&self.listener, WAITING_CONNECTIONS as i32) {
            tracing::debug!("the queue of new connections stays short: {error}");
        }
    }

    /// Closes it, and gives what waited in it for this server. The runtime is not asked: it may not have heard of the last of them.
    pub(super) fn close(self) -> Vec<(TcpStream, IpAddr)> {
        if self.is_passed {
            return Vec::new();
        }
        let waiting: Vec<_> = match self.listener.into_std() {
            Ok(listener) => std::iter::from_fn(|| listener.accept().ok()).collect(),
            Err(_) => Vec::new(),
        };
        let adopt = |(tcp, peer): (std::net::TcpStream, std::net::SocketAddr)| {
            tcp.set_nonblocking(true).ok()?;
            Some((TcpStream::from_std(tcp).ok()?, peer.ip()))
        };
        waiting.into_iter().filter_map(adopt).collect()
    }
}
