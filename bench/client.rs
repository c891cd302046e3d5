//! Clients: raw Engine.IO and Socket.IO over WebSocket, as many as wanted in one process.
//!
//! Owns the wire (Engine.IO protocol v4, Socket.IO protocol v5) as far as a room's listener needs it: connect, join
//! with an ack, answer pings, note the moment each message arrives. Refuses everything else. Clients that come back
//! are in `session.rs`.
//! Guarantees that a client counts only after its join was acknowledged, and that one that was cut off is reported.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::sync::CancellationToken;

use crate::insert;

const JOIN_WITHIN: Duration = Duration::from_secs(20);
/// A pause this long between deliveries is the end of them.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_WITHIN: Duration = Duration::from_secs(10);
const JOINS_AT_ONCE: usize = 50;
/// Clients that share an address, as in an office behind one: a server limits what one address may open.
const OF_ONE_ADDRESS: u32 = 100;

/// One delivered row: its number and the moment it arrived.
pub(crate) struct Delivery {
    pub(crate) row: u32,
    pub(crate) at: Instant,
}

/// What one client has heard when it leaves.
pub(crate) struct Heard {
    pub(crate) room: u32,
    pub(crate) deliveries: Vec<Delivery>,
    /// Sum of the lengths of the frames that carried them.
    pub(crate) frame_bytes: u64,
    /// Why it stopped before it was told to.
    pub(crate) cut_off: Option<String>,
}

/// Clients that have joined and are listening.
pub(crate) struct Crowd {
    listening: JoinSet<Heard>,
    leave: CancellationToken,
    received: Arc<AtomicU64>,
}

impl Crowd {
    /// Connects that many clients, spread evenly over the rooms, and returns when all joins were acknowledged.
    pub(crate) async fn join(address: SocketAddr, clients: u32, rooms: u32) -> Result<Self> {
        Self::join_each(address, (0..clients).map(|client| client % rooms)).await
    }

    /// The same with one client for each of these rooms.
    pub(crate) async fn join_each(
        address: SocketAddr,
        rooms: impl Iterator<Item = u32>,
    ) -> Result<Self> {
        let joined = stream::iter((0..).zip(rooms).map(|(client, room)| async move {
            let socket = timeout(JOIN_WITHIN, join(address, client, room))
                .await
                .context("joining takes too long")??;
            anyhow::Ok((room, socket))
        }))
        .buffer_unordered(JOINS_AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
        let (mut listening, leave, received) =
            (JoinSet::new(), CancellationToken::new(), Arc::default());
        for (room, socket) in joined {
            listening.spawn(listen(socket, room, leave.clone(), Arc::clone(&received)));
        }
        Ok(Self {
            listening,
            leave,
            received,
        })
    }

    /// Returns when that many rows were received in all, or when the time is up.
    pub(crate) async fn received(&self, wanted: u64, within: Duration) {
        let deadline = Instant::now() + within;
        while self.received.load(Ordering::Relaxed) < wanted && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Disconnects everybody once it is quiet, so that what comes twice is heard twice, and hands over what they have
    /// heard.
    pub(crate) async fn leave(self) -> Vec<Heard> {
        let deadline = Instant::now() + QUIET_WITHIN;
        let mut heard_of = None;
        while heard_of != Some(self.received.load(Ordering::Relaxed)) && Instant::now() < deadline {
            heard_of = Some(self.received.load(Ordering::Relaxed));
            tokio::time::sleep(QUIET).await;
        }
        self.leave.cancel();
        self.listening.join_all().await
    }
}

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Connects the client of that number, from the address that it shares with a few others.
pub(crate) async fn dial(address: SocketAddr, client: u32) -> Result<TcpStream> {
    let [_, _, high, low] = (client / OF_ONE_ADDRESS).to_be_bytes();
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 1, high, low), 0).into())?;
    socket
        .connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))
}

async fn join(address: SocketAddr, client: u32, room: u32) -> Result<Socket> {
    let stream = dial(address, client).await?;
    let mut socket = connect(stream).await?;
    join_room(&mut socket, room).await?;
    Ok(socket)
}

/// A connected client in no room.
pub(crate) async fn connect(stream: TcpStream) -> Result<Socket> {
    let mut socket = open(stream).await?;
    socket.send(Message::text("40")).await?;
    let connect = packet(&mut socket, "4").await?;
    ensure!(connect.starts_with("40{"), "not connected: {connect:.80}");
    Ok(socket)
}

/// Joins a room and waits for the ack.
pub(crate) async fn join_room(socket: &mut Socket, room: u32) -> Result<()> {
    let join = format!(r#"420["join:conversation","{room}"]"#);
    socket.send(Message::text(join)).await?;
    let ack = packet(socket, "430").await?;
    ensure!(ack.contains(r#""ok":true"#), "not joined: {ack:.200}");
    Ok(())
}

/// Leaves a room and waits for the ack.
pub(crate) async fn leave_room(socket: &mut Socket, room: u32) -> Result<()> {
    let leave = format!(r#"420["leave:conversation","{room}"]"#);
    socket.send(Message::text(leave)).await?;
    let ack = packet(socket, "430").await?;
    ensure!(ack.contains(r#""ok":true"#), "not left: {ack:.200}");
    Ok(())
}

/// A WebSocket on which the server has said hello and the client nothing.
pub(crate) async fn open(stream: TcpStream) -> Result<Socket> {
    let address = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    let mut request =
        format!("ws://{address}/socket.io/?EIO=4&transport=websocket").into_client_request()?;
    request
        .headers_mut()
        .insert("origin", HeaderValue::from_static("http://localhost:3000"));
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;

    let open = packet(&mut socket, "0").await?;
    ensure!(
        open.starts_with("0{"),
        "no Engine.IO handshake but {open:.80}"
    );
    Ok(socket)
}

/// The next packet that starts so; answers pings and passes over events on the way.
async fn packet(socket: &mut Socket, start: &str) -> Result<String> {
    loop {
        match socket
            .next()
            .await
            .context("the server closed the connection")??
        {
            Message::Text(text) if text.starts_with(start) => return Ok(text.as_str().to_owned()),
            Message::Text(text) if text == "2" => socket.send(Message::text("3")).await?,
            Message::Close(frame) => bail!("the server closed the connection: {frame:?}"),
            _ => {}
        }
    }
}

async fn listen(
    mut socket: Socket,
    room: u32,
    leave: CancellationToken,
    received: Arc<AtomicU64>,
) -> Heard {
    let mut heard = Heard {
        room,
        deliveries: Vec::new(),
        frame_bytes: 0,
        cut_off: None,
    };
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            () = leave.cancelled() => break,
        };
        match message {
            Some(Ok(Message::Text(text))) if text == "2" => {
                if let Err(error) = socket.send(Message::text("3")).await {
                    heard.cut_off = Some(error.to_string());
                    return heard;
                }
            }
            Some(Ok(Message::Text(text))) => {
                if let Some(row) = insert::row_in(&text) {
                    heard.deliveries.push(Delivery {
                        row,
                        at: Instant::now(),
                    });
                    heard.frame_bytes += text.len() as u64;
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
            Some(Ok(Message::Close(frame))) => {
                heard.cut_off = Some(format!("closed by the server: {frame:?}"));
                return heard;
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                heard.cut_off = Some(error.to_string());
                return heard;
            }
            None => {
                heard.cut_off = Some("the connection ended".to_owned());
                return heard;
            }
        }
    }
    // A server that is gone by now has nothing to be told.
    if let Err(error) = socket.close(None).await {
        eprintln!("closing a client: {error}");
    }
    heard
}
