//! A network between a client and the server: one that can stop carrying what the server sends.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the kernel may keep for a connection that carries nothing; by itself it would take tens of megabytes.
const BUFFER_BYTES: u32 = 16 * 1024;

/// A port of its own that leads to the server. Gone with the value.
pub(crate) struct Proxy {
    address: String,
    stalled: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// A network that carries everything.
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (stalled, watching) = watch::channel(false);
        let server = server.parse().expect("host:port");
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket
                    .set_recv_buffer_size(BUFFER_BYTES)
                    .expect("a smaller buffer");
                let Ok(server) = socket.connect(server).await else {
                    continue;
                };
                connections.spawn(carry(client, server, watching.clone()));
            }
        });
        Self {
            address,
            stalled,
            _accepting: accepting,
        }
    }

    /// Where clients connect: `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on nothing that the server sends goes through; or everything does again.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }
}

async fn carry(client: TcpStream, server: TcpStream, stalled: watch::Receiver<bool>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    // When either side has ended, so has the connection.
    let _ended = tokio::select! {
        ended = copy(&mut from_client, &mut to_server) => ended.map(drop),
        ended = downwards(from_server, to_client, stalled) => ended,
    };
}

async fn downwards(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    mut stalled: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES as usize];
    loop {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        stalled.wait_for(|stalled| !stalled).await.map_err(gone)?;
        let read = server.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..read]).await?;
    }
}
