//! A network between the clients and a server: one that stalls, cuts, delays, thins out, and leads elsewhere.
//!
//! What it does holds for every connection, those that are open included. It never changes or reorders a byte.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What the kernel may keep for a connection that carries nothing; by itself it would take tens of megabytes.
const BUFFER_BYTES: u32 = 16 * 1024;

/// What happens to websockets alone; a first piece that asks for one tells which connections these are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Websockets {
    /// What happens to every connection.
    Carried,
    /// They end, and so does every attempt.
    Refused,
    /// Nothing that the server sends on them goes through.
    Silent,
    /// They end with the server's first answer.
    CutAfterTheAnswer,
}

/// A port of its own that leads to a server. Gone with the value.
pub(crate) struct Proxy {
    address: String,
    weather: watch::Sender<Weather>,
    carried: Arc<AtomicU64>,
    _accepting: JoinSet<()>,
}

/// What the network is like.
#[derive(Clone)]
struct Weather {
    server: SocketAddr,
    /// Nothing that the server sends goes through.
    down_stalled: bool,
    /// Nor what the clients send.
    up_stalled: bool,
    /// New connections are closed at once.
    refusing: bool,
    websockets: Websockets,
    /// Each piece waits for so long, in either direction.
    delay: Duration,
    /// What the server sends goes through in pieces of so many bytes, one each 10 ms.
    piece_bytes: usize,
    /// After so many bytes from the server a connection ends, wherever in a frame that is.
    cut_after: Option<u64>,
    /// Connections of an earlier number end.
    generation: u64,
}

impl Proxy {
    /// A network that carries everything.
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (weather, watching) = watch::channel(Weather {
            server: server.parse().expect("host:port"),
            down_stalled: false,
            up_stalled: false,
            refusing: false,
            websockets: Websockets::Carried,
            delay: Duration::ZERO,
            piece_bytes: BUFFER_BYTES as usize,
            cut_after: None,
            generation: 0,
        });
        let carried = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&carried);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, watching.clone(), Arc::clone(&counter)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            weather,
            carried,
            _accepting: accepting,
        }
    }

    /// Where clients connect: `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many bytes of the server's went through.
    pub(crate) fn carried_bytes(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// From now on nothing that the server sends goes through; or everything does again.
    pub(crate) fn stall(&self, stalled: bool) {
        self.weather.send_modify(|now| now.down_stalled = stalled);
    }

    /// The same in both directions.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.weather.send_modify(|now| {
            now.down_stalled = frozen;
            now.up_stalled = frozen;
        });
    }

    /// Ends every open connection; new ones are carried.
    pub(crate) fn cut(&self) {
        self.weather.send_modify(|now| now.generation += 1);
    }

    /// Ends every open connection and takes no new one; or takes them again.
    pub(crate) fn close(&self, closed: bool) {
        self.weather.send_modify(|now| {
            now.refusing = closed;
            now.generation += u64::from(closed);
        });
    }

    /// What becomes of websockets while everything else is carried.
    pub(crate) fn websockets(&self, websockets: Websockets) {
        self.weather.send_modify(|now| now.websockets = websockets);
    }

    /// From now on every piece is late by so much.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|now| now.delay = delay);
    }

    /// From now on the server's bytes go through at about this rate; without one, as fast as they can.
    pub(crate) fn limit(&self, bytes_per_second: Option<usize>) {
        let piece_bytes = bytes_per_second.map_or(BUFFER_BYTES as usize, |rate| rate / 100);
        self.weather
            .send_modify(|now| now.piece_bytes = piece_bytes.max(1));
    }

    /// From now on each connection ends after so many bytes of the server's, old ones counted from their beginning.
    pub(crate) fn cut_after(&self, bytes: Option<u64>) {
        self.weather.send_modify(|now| now.cut_after = bytes);
    }

    /// Leads new connections to another server. Open ones stay where they are.
    pub(crate) fn lead(&self, server: &str) {
        let server = server.parse().expect("host:port");
        self.weather.send_modify(|now| now.server = server);
    }
}

async fn carry(client: TcpStream, mut weather: watch::Receiver<Weather>, carried: Arc<AtomicU64>) {
    let now = weather.borrow().clone();
    if now.refusing {
        return;
    }
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(BUFFER_BYTES)
        .expect("a smaller buffer");
    let _with_nagle_a_delay_would_be_doubled = client.set_nodelay(true);
    let Ok(server) = socket.connect(now.server).await else {
        return;
    };
    let _as_above = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let websocket = AtomicBool::new(false);
    let over = |then: &Weather| {
        let refused = then.websockets == Websockets::Refused && websocket.load(Ordering::Relaxed);
        refused || then.generation != now.generation
    };
    // When either side has ended, so has the connection.
    let _ended = tokio::select! {
        ended = upwards(from_client, to_server, weather.clone(), &websocket) => ended,
        ended = downwards(from_server, to_client, weather.clone(), &websocket, &carried) => ended,
        _ = weather.wait_for(over) => Ok(()),
    };
}

async fn upwards(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    websocket: &AtomicBool,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES as usize];
    let mut first = true;
    loop {
        let delay = clear(&mut weather, |now| !now.up_stalled).await?.delay;
        let read = client.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if std::mem::take(&mut first) && asks_for_a_websocket(&buffer[..read]) {
            websocket.store(true, Ordering::Relaxed);
            if weather.borrow().websockets == Websockets::Refused {
                return Ok(());
            }
        }
        sleep(delay).await;
        clear(&mut weather, |now| !now.up_stalled).await?;
        server.write_all(&buffer[..read]).await?;
    }
}

async fn downwards(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    websocket: &AtomicBool,
    carried: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES as usize];
    let mut so_far = 0;
    let flows = |now: &Weather| {
        let silent = now.websockets == Websockets::Silent && websocket.load(Ordering::Relaxed);
        !silent && !now.down_stalled
    };
    loop {
        let now = clear(&mut weather, flows).await?;
        let mut room = now.piece_bytes.min(buffer.len());
        if let Some(end) = now.cut_after {
            room = room.min(usize::try_from(end.saturating_sub(so_far)).unwrap_or(room));
        }
        if room == 0 {
            return Ok(());
        }
        if now.piece_bytes < buffer.len() {
            sleep(Duration::from_millis(10)).await;
        }
        let read = server.read(&mut buffer[..room]).await?;
        if read == 0 {
            return Ok(());
        }
        clear(&mut weather, flows).await?;
        if !now.delay.is_zero() {
            sleep(now.delay).await;
        }
        client.write_all(&buffer[..read]).await?;
        let cut = weather.borrow().websockets == Websockets::CutAfterTheAnswer;
        if cut && websocket.load(Ordering::Relaxed) {
            return Ok(());
        }
        so_far += read as u64;
        carried.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Of Engine.IO, by the line of the request.
fn asks_for_a_websocket(request: &[u8]) -> bool {
    let line = request
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    line.starts_with("GET /socket.io/") && line.contains("transport=websocket")
}

/// Waits for such weather.
async fn clear(
    weather: &mut watch::Receiver<Weather>,
    wanted: impl FnMut(&Weather) -> bool,
) -> io::Result<Weather> {
    match weather.wait_for(wanted).await {
        Ok(now) => Ok(now.clone()),
        Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}
