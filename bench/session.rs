//! A client that comes back, as a stock one does: with the `pid` of its session and the offset of its last event.
//!
//! Owns what such a client keeps, and what it has heard over all its connections. Guarantees that it counts as resumed
//! only where the server answers with the same `pid`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::client::{self, Delivery, Socket};
use crate::insert;

const BEGIN_WITHIN: Duration = Duration::from_secs(20);
const BACK_WITHIN: Duration = Duration::from_secs(30);
const AT_ONCE: usize = 50;
/// Between two attempts to come back, and as much again by chance.
const RETRY: Duration = Duration::from_millis(200);

/// See the module.
pub(crate) struct Session {
    /// Its number, which says what address it comes from.
    client: u32,
    pub(crate) room: u32,
    /// What it shows at each CONNECT.
    token: Option<String>,
    pid: String,
    offset: String,
    pub(crate) deliveries: Vec<Delivery>,
    /// When each connection after the first was there.
    pub(crate) back: Vec<Instant>,
    /// How many of those the server took for a new client.
    pub(crate) anew: u32,
    /// Connections that ended before the server had answered.
    pub(crate) failed: u32,
}

impl Session {
    /// Connects that many clients, spread evenly over the rooms, each with its token where the server wants one.
    pub(crate) async fn crowd(
        address: SocketAddr,
        clients: u32,
        rooms: u32,
        token: Option<fn(u32) -> String>,
    ) -> Result<Vec<(Self, Socket)>> {
        stream::iter((0..clients).map(|client| async move {
            let token = token.map(|token| token(client));
            timeout(
                BEGIN_WITHIN,
                Self::begin(address, client, client % rooms, token),
            )
            .await
            .context("joining takes too long")?
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
    }

    async fn begin(
        address: SocketAddr,
        client: u32,
        room: u32,
        token: Option<String>,
    ) -> Result<(Self, Socket)> {
        let mut session = Self {
            client,
            room,
            token,
            pid: String::new(),
            offset: String::new(),
            deliveries: Vec::new(),
            back: Vec::new(),
            anew: 0,
            failed: 0,
        };
        let mut socket = client::open(client::dial(address, client).await?).await?;
        let auth = match &session.token {
            Some(token) => format!(r#"40{{"token":"{token}"}}"#),
            None => "40".to_owned(),
        };
        session.connect(&mut socket, auth).await?;
        while session.offset.is_empty() {
            let text = text(&mut socket).await?;
            session.hear(&text);
        }
        client::join_room(&mut socket, room).await?;
        Ok((session, socket))
    }

    async fn connect(&mut self, socket: &mut Socket, connect: String) -> Result<()> {
        socket.send(Message::text(connect)).await?;
        let answer = text(socket).await?;
        let answer = answer
            .strip_prefix("40")
            .with_context(|| format!("not connected: {answer:.80}"))?;
        let answer: Value = serde_json::from_str(answer)?;
        let pid = answer["pid"].as_str().context("CONNECT has no pid")?;
        if !self.pid.is_empty() && self.pid != pid {
            self.anew += 1;
        }
        pid.clone_into(&mut self.pid);
        Ok(())
    }

    async fn resume(&mut self, stream: TcpStream) -> Result<Socket> {
        let mut socket = client::open(stream).await?;
        let token = &self.token;
        let claim = serde_json::json!({ "pid": self.pid, "offset": self.offset, "token": token });
        self.connect(&mut socket, format!("40{claim}")).await?;
        Ok(socket)
    }

    /// Comes back, however often it has to try.
    pub(crate) async fn come_back(&mut self, address: SocketAddr) -> Socket {
        loop {
            if let Ok(stream) = client::dial(address, self.client).await {
                match timeout(BACK_WITHIN, self.resume(stream)).await {
                    Ok(Ok(socket)) => {
                        self.back.push(Instant::now());
                        return socket;
                    }
                    _ => self.failed += 1,
                }
            }
            Self::pause().await;
        }
    }

    /// What a client waits before it tries again.
    pub(crate) async fn pause() {
        sleep(RETRY.mul_f64(1.0 + rand::random::<f64>())).await;
    }

    /// Listens until the connection ends, or until it has heard that many rows in all.
    pub(crate) async fn listen(&mut self, socket: &mut Socket, rows: usize) -> Result<()> {
        while self.deliveries.len() < rows {
            let text = text(socket).await?;
            self.hear(&text);
        }
        Ok(())
    }

    /// As a stock client: the last argument of an event, where it is a text, is where it stands.
    fn hear(&mut self, text: &str) {
        if !text.starts_with("42[") {
            return;
        }
        if let Some((_, offset)) = text
            .strip_suffix(r#""]"#)
            .and_then(|text| text.rsplit_once('"'))
        {
            offset.clone_into(&mut self.offset);
        }
        if let Some(row) = insert::row_in(text) {
            self.deliveries.push(Delivery {
                row,
                at: Instant::now(),
            });
        }
    }
}

/// The next packet; answers pings on the way.
async fn text(socket: &mut Socket) -> Result<Utf8Bytes> {
    loop {
        match socket
            .next()
            .await
            .context("the server closed the connection")??
        {
            Message::Text(text) if text == "2" => socket.send(Message::text("3")).await?,
            Message::Text(text) => return Ok(text),
            Message::Close(frame) => bail!("the server closed the connection: {frame:?}"),
            _ => {}
        }
    }
}
