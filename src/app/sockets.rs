//! The listening sockets: bound, or passed to the process, or shared with a server that this one replaces.
//!
//! Guarantees that a port which is taken stops the start. With `ROWCAST_REUSEPORT`, and while another server listens on the public
//! address, this one binds it and does not listen before it serves: the kernel would give it half of all newcomers.
//! Relies on the other server to close its socket when it drains, before it closes its clients.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::transport::{ListeningSocket, WAITING_CONNECTIONS};

/// How often is looked whether the other server still listens.
const LOOK: Duration = Duration::from_secs(1);

/// A socket that has its address.
pub(super) struct BoundSocket {
    socket: Socket,
    pub(super) address: SocketAddr,
}

enum Socket {
    Listening(ListeningSocket),
    /// It does not listen yet.
    Bound(TcpSocket),
}

impl BoundSocket {
    /// Listens on the socket that was `passed`, or else on `address`. `variable` says where that is from.
    pub(super) async fn open(
        passed: Option<std::net::TcpListener>,
        address: &str,
        variable: &str,
        reuse_port: bool,
    ) -> anyhow::Result<Self> {
        let is_passed = passed.is_some();
        let listener = match passed {
            Some(passed) => TcpListener::from_std(passed)
                .context("LISTEN_FDS: the socket that was passed can't be used")?,
            None if reuse_port => return bind_beside(address, variable).await,
            None => TcpListener::bind(address)
                .await
                .with_context(|| taken(address, variable))?,
        };
        let address = listener
            .local_addr()
            .with_context(|| format!("{variable}: the listener has no address"))?;
        let listening = ListeningSocket {
            listener,
            is_passed,
        };
        Ok(Self {
            socket: Socket::Listening(listening),
            address,
        })
    }

    /// Listens now, where it does not yet.
    pub(super) fn listen(self) -> std::io::Result<ListeningSocket> {
        match self.socket {
            Socket::Listening(listening) => Ok(listening),
            Socket::Bound(socket) => Ok(ListeningSocket {
                listener: socket.listen(WAITING_CONNECTIONS)?,
                is_passed: false,
            }),
        }
    }

    /// Listens once nobody else does, or once `routes` have changed, which they do when the server serves.
    pub(super) async fn listen_in_time(
        self,
        mut routes: watch::Receiver<Router>,
    ) -> std::io::Result<ListeningSocket> {
        if let Socket::Bound(_) = self.socket {
            let address = reachable(self.address);
            while is_listening(address).await {
                tokio::select! {
                    _ = routes.changed() => break,
                    () = sleep(LOOK) => {}
                }
            }
        }
        self.listen()
    }

    /// Whether another server listens, and this one will once it serves.
    pub(super) async fn waits(&self) -> bool {
        matches!(self.socket, Socket::Bound(_)) && is_listening(reachable(self.address)).await
    }
}

/// Binds beside others that allow it.
async fn bind_beside(address: &str, variable: &str) -> anyhow::Result<BoundSocket> {
    let mut refused = None;
    let addresses = lookup_host(address).await;
    for address in addresses.with_context(|| taken(address, variable))? {
        match bind_reusing(address) {
            Ok(bound) => return Ok(bound),
            Err(error) => refused = Some(error),
        }
    }
    let refused = refused.unwrap_or_else(|| std::io::Error::other("the name has no address"));
    Err(refused).with_context(|| taken(address, variable))
}

fn bind_reusing(address: SocketAddr) -> std::io::Result<BoundSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    let address = socket.local_addr()?;
    Ok(BoundSocket {
        socket: Socket::Bound(socket),
        address,
    })
}

fn taken(address: &str, variable: &str) -> String {
    format!("{variable}: can't listen on {address}; give a free address, or port 0 for any")
}

async fn is_listening(address: SocketAddr) -> bool {
    matches!(timeout(LOOK, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// The address by which this machine reaches a listener.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
