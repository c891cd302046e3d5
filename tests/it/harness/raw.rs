//! Socket.IO by hand: the frames that a stock client would never send, and the reading that it would never stop.
//!
//! Engine.IO protocol 4: a packet is a digit (0 open, 2 ping, 3 pong, 4 message) and its payload; Socket.IO protocol 5
//! stands in the messages (40 connect, 41 disconnect, 42 event, 43 ack, 44 connect error).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http;
use super::wait::{within, within_for};

/// One websocket to the server.
pub(crate) struct Wire {
    socket: WebSocketStream<TcpStream>,
}

impl Wire {
    /// Shakes hands on the websocket, or returns the HTTP status that refused it.
    pub(crate) async fn dial(address: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        match Self::attempt(address, headers).await {
            Ok(wire) => Ok(wire),
            Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
            Err(error) => panic!("the websocket handshake: {error}"),
        }
    }

    /// Shakes hands on the websocket, if there is a server that does.
    pub(super) async fn attempt(address: &str, headers: &[(&str, &str)]) -> Result<Self, Error> {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a header's name");
            let value = HeaderValue::try_from(*value).expect("a header's value");
            request.headers_mut().insert(name, value);
        }
        let stream = TcpStream::connect(address).await.map_err(Error::Io)?;
        let shaken = within("the websocket handshake", client_async(request, stream)).await;
        Ok(Self { socket: shaken?.0 })
    }

    /// A websocket to which a session that polls is to be upgraded, past its handshake. The client has to probe it.
    pub(crate) async fn upgrade(polling: &Polling) -> Self {
        let url = format!("ws://{}{}", polling.address, polling.upgrade_path());
        let request = url.into_client_request().expect("a request");
        let stream = TcpStream::connect(&polling.address).await;
        let stream = stream.expect("the server accepts");
        let shaken = within("the websocket handshake", client_async(request, stream)).await;
        Self {
            socket: shaken.expect("the server upgrades").0,
        }
    }

    /// A websocket on which nothing was said yet but the server's `0{...}`.
    pub(crate) async fn open(address: &str) -> Self {
        let mut wire = Self::dial(address, &[]).await.expect("no refusal");
        let open = wire.frame().await.expect("an open packet");
        assert!(open.starts_with('0'), "{open}");
        wire
    }

    /// A connected Socket.IO client, past its `rowcast:ready`.
    pub(crate) async fn connect(address: &str) -> Self {
        let mut wire = Self::open(address).await;
        wire.send("40").await;
        wire.find("the CONNECT packet", |frame| frame.starts_with("40"))
            .await;
        wire.find("rowcast:ready", |frame| frame.contains("rowcast:ready"))
            .await;
        wire
    }

    /// The same with `auth` in its CONNECT packet, and the packet that answers it.
    pub(crate) async fn connect_with(address: &str, auth: &Value) -> (Value, Self) {
        let mut wire = Self::open(address).await;
        wire.send(&format!("40{auth}")).await;
        let frame = wire
            .find("the CONNECT packet", |frame| frame.starts_with("40"))
            .await;
        let ready = wire.frame().await.expect("rowcast:ready");
        assert!(ready.contains("rowcast:ready"), "the first event: {ready}");
        (serde_json::from_str(&frame[2..]).expect("JSON"), wire)
    }

    /// The same, and it has joined these conversations.
    pub(crate) async fn in_rooms(address: &str, auth: &Value, contacts: &[&str]) -> (Value, Self) {
        let (connect, mut wire) = Self::connect_with(address, auth).await;
        for (ack, contact) in (1..).zip(contacts) {
            let answer = wire.ask("join:conversation", &json!([contact]), ack).await;
            assert_eq!(answer["ok"], true, "{answer}");
        }
        (connect, wire)
    }

    /// Sends a text frame. What the server closed meanwhile shows when a frame is read.
    pub(crate) async fn send(&mut self, frame: &str) {
        self.message(Message::text(frame)).await;
    }

    /// Sends a binary frame.
    pub(crate) async fn send_bytes(&mut self, frame: Vec<u8>) {
        self.message(Message::binary(frame)).await;
    }

    async fn message(&mut self, message: Message) {
        let _closed_shows_on_reading =
            within("the server to read a frame", self.socket.send(message)).await;
    }

    /// Emits an event; with an `ack` the answer can be read by [`Wire::answer`].
    pub(crate) async fn emit(&mut self, event: &str, arguments: &Value, ack: Option<u32>) {
        let mut packet = vec![json!(event)];
        packet.extend(
            arguments
                .as_array()
                .expect("an array of arguments")
                .iter()
                .cloned(),
        );
        let ack = ack.map(|ack| ack.to_string()).unwrap_or_default();
        self.send(&format!("42{ack}{}", Value::Array(packet))).await;
    }

    /// The answer to an ack: its only argument.
    pub(crate) async fn answer(&mut self, ack: u32) -> Value {
        let start = format!("43{ack}[");
        let frame = self
            .find(&format!("ack {ack}"), |frame| frame.starts_with(&start))
            .await;
        let mut arguments: Value = serde_json::from_str(&frame[start.len() - 1..]).expect("JSON");
        arguments[0].take()
    }

    /// Emits with an ack and returns the answer.
    pub(crate) async fn ask(&mut self, event: &str, arguments: &Value, ack: u32) -> Value {
        self.emit(event, arguments, Some(ack)).await;
        self.answer(ack).await
    }

    /// The next text frame that is no ping, or `None` once the server has closed. Pings are answered.
    pub(crate) async fn frame(&mut self) -> Option<String> {
        within("a frame, or the close", self.frame_whenever()).await
    }

    /// The same, however long that takes.
    pub(crate) async fn frame_whenever(&mut self) -> Option<String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.send("3").await,
                Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Waits for a ping, without answering it.
    pub(crate) async fn pinged(&mut self) {
        let ping = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) if text.as_str() == "2" => return,
                    Some(Ok(_)) => {}
                    ended => panic!("closed while a test waited for a ping: {ended:?}"),
                }
            }
        };
        within_for(Duration::from_secs(40), "a ping", ping).await;
    }

    /// The next frame like that; others are passed over.
    pub(crate) async fn find(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut passed = Vec::new();
        loop {
            match self.frame().await {
                Some(frame) if wanted(&frame) => return frame,
                Some(frame) => passed.push(frame),
                None => {
                    panic!("closed while a test waited for {what}; frames meanwhile: {passed:?}")
                }
            }
        }
    }

    /// Ends the connection, as a lost network does, and not the resume session.
    pub(crate) async fn end(&mut self) {
        let _it_may_have_ended = self.socket.close(None).await;
        self.closed().await;
    }

    /// Reads until the server closes.
    pub(crate) async fn closed(&mut self) {
        while self.frame().await.is_some() {}
    }
}

/// The offset of an event's frame: its last argument.
pub(crate) fn offset_of(frame: &str) -> String {
    let packet: Value = serde_json::from_str(&frame[2..]).expect("an event");
    let last = packet
        .as_array()
        .and_then(|arguments| arguments.last())
        .expect("arguments");
    last.as_str().expect("an offset").to_owned()
}

/// Long polling by hand.
pub(crate) struct Polling {
    address: String,
    path: String,
}

impl Polling {
    /// Opens a session and connects it; the CONNECT answer is still to be polled.
    pub(crate) async fn connect(address: &str) -> Self {
        Self::connect_with(address, &json!({})).await
    }

    /// The same with this in the CONNECT packet.
    pub(crate) async fn connect_with(address: &str, auth: &Value) -> Self {
        let path = "/socket.io/?EIO=4&transport=polling";
        let open = http::get(address, path, &[]).await;
        assert_eq!(open.status, 200, "{open:?}");
        let open: Value =
            serde_json::from_str(open.body.trim_start_matches('0')).expect("an open packet");
        let session = open["sid"].as_str().expect("a session id");
        let polling = Self {
            address: address.to_owned(),
            path: format!("{path}&sid={session}"),
        };
        let connected = polling.post(&format!("40{auth}")).await;
        assert_eq!(connected.status, 200, "{connected:?}");
        polling
    }

    /// A connected client, past its `rowcast:ready`.
    pub(crate) async fn ready(address: &str) -> Self {
        let polling = Self::connect(address).await;
        polling.until("rowcast:ready").await;
        polling
    }

    /// Polls until a packet has this in it.
    pub(crate) async fn until(&self, wanted: &str) -> String {
        let packet = async {
            loop {
                let answer = self.poll().await;
                assert_eq!(answer.status, 200, "a test waited for {wanted}: {answer:?}");
                let mut packets = answer.body.split('\u{1e}');
                if packets.clone().any(|packet| packet == "2") {
                    self.post("3").await;
                }
                if let Some(packet) = packets.find(|packet| packet.contains(wanted)) {
                    return packet.to_owned();
                }
            }
        };
        within(format!("a packet with {wanted}"), packet).await
    }

    /// The path of its requests.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path of its upgrade to a WebSocket.
    pub(crate) fn upgrade_path(&self) -> String {
        self.path
            .replace("transport=polling", "transport=websocket")
    }

    /// Sends packets.
    pub(crate) async fn post(&self, body: &str) -> http::Response {
        http::post(&self.address, &self.path, body).await
    }

    /// Asks for packets, answering a ping by the way.
    pub(crate) async fn poll(&self) -> http::Response {
        http::get(&self.address, &self.path, &[]).await
    }
}
