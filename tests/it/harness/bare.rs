//! A WebSocket by its bytes: frames that no library would send, and the close frames that libraries hide.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http;
use super::wait::within;

/// Headers of a handshake that is right (the key is that of RFC 6455, section 1.3).
pub(crate) const HANDSHAKE: [(&str, &str); 4] = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// One connection that is a WebSocket.
pub(crate) struct Bare {
    tcp: TcpStream,
    unread: Vec<u8>,
}

/// What the server sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Text(String),
    /// A close frame, with its code if it had one.
    Close(Option<u16>),
    /// Any other frame: its opcode.
    Other(u8),
    /// The end of the connection.
    End,
}

impl Bare {
    /// Asks for a WebSocket at `path`, and returns the head of the answer with the connection.
    pub(crate) async fn ask(address: &str, path: &str, headers: &[(&str, &str)]) -> (String, Self) {
        let mut head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut tcp = TcpStream::connect(address)
            .await
            .expect("the server accepts");
        tcp.write_all(head.as_bytes()).await.expect("it reads");
        let mut bare = Self {
            tcp,
            unread: Vec::new(),
        };
        let end = within("the answer to a handshake", async {
            loop {
                let end = bare.unread.windows(4).position(|four| four == b"\r\n\r\n");
                if let Some(end) = end {
                    return end + 4;
                }
                assert!(bare.read().await, "the connection ended: {:?}", bare.unread);
            }
        })
        .await;
        let head: Vec<u8> = bare.unread.drain(..end).collect();
        (String::from_utf8(head).expect("text"), bare)
    }

    /// The WebSocket of a new session, or of one that is named in `path`.
    pub(crate) async fn open(address: &str, path: &str) -> Self {
        let (head, bare) = Self::ask(address, path, &HANDSHAKE).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        bare
    }

    /// A new session that is a WebSocket from its first byte, connected, past its `rowcast:ready`.
    pub(crate) async fn connect(address: &str) -> Self {
        let mut bare = Self::open(address, "/socket.io/?EIO=4&transport=websocket").await;
        bare.text("40").await;
        bare.until("rowcast:ready").await;
        bare
    }

    /// Sends bytes as they are.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        let _closed_shows_on_reading = self.tcp.write_all(bytes).await;
    }

    /// Sends a frame, masked with zeros.
    pub(crate) async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.bytes(&frame(first, payload)).await;
    }

    /// Sends a text frame.
    pub(crate) async fn text(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes()).await;
    }

    /// The next frame. Engine.IO's pings are answered.
    pub(crate) async fn next(&mut self) -> Got {
        loop {
            let got = within("a frame", self.next_whatever()).await;
            if got != Got::Text("2".to_owned()) {
                return got;
            }
            self.text("3").await;
        }
    }

    async fn next_whatever(&mut self) -> Got {
        loop {
            if let Some((opcode, payload)) = self.whole_frame() {
                return match opcode {
                    1 => Got::Text(String::from_utf8(payload).expect("text")),
                    8 => Got::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
                    other => Got::Other(other),
                };
            }
            if !self.read().await {
                return Got::End;
            }
        }
    }

    /// Reads until a text frame has this in it.
    pub(crate) async fn until(&mut self, wanted: &str) -> String {
        loop {
            match self.next().await {
                Got::Text(text) if text.contains(wanted) => return text,
                Got::Text(_) => {}
                got => panic!("{got:?} while a test waited for {wanted}"),
            }
        }
    }

    /// Reads until the server has closed, and returns the code of its close frame: `None` where there was no such frame.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        let mut code = None;
        loop {
            match self.next().await {
                Got::Close(closed) => {
                    // 1005 stands for a frame without a code (RFC 6455, section 7.4.1).
                    code = Some(closed.unwrap_or(1005));
                    self.frame(0x88, &[]).await;
                    let _our_side = self.tcp.shutdown().await;
                }
                Got::End => return code,
                Got::Text(_) | Got::Other(_) => {}
            }
        }
    }

    fn whole_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (length, size): (usize, usize) = match *self.unread.get(1)? {
            126 => (
                u16::from_be_bytes(*self.unread[2..].first_chunk()?).into(),
                4,
            ),
            127 => panic!("a longer frame than any test needs"),
            length => (length.into(), 2),
        };
        if self.unread.len() < size + length {
            return None;
        }
        let opcode = self.unread[0] & 0x0f;
        let payload = self.unread[size..size + length].to_vec();
        self.unread.drain(..size + length);
        Some((opcode, payload))
    }

    /// Reads some bytes. False: the end.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = self.tcp.read(&mut bytes).await.unwrap_or(0);
        self.unread.extend_from_slice(&bytes[..read]);
        read > 0
    }
}

/// A frame of a client's, masked with zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium => {
            frame.push(0x80 | 126);
            frame.extend(
                u16::try_from(medium)
                    .expect("a short payload")
                    .to_be_bytes(),
            );
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Sends the head of a request and so much of its body as given, and returns the connection.
pub(crate) async fn begin(address: &str, request: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(address)
        .await
        .expect("the server accepts");
    tcp.write_all(request.as_bytes()).await.expect("it reads");
    tcp
}

/// A session that was opened by polling, and nothing more: its path.
pub(crate) async fn open_polling(address: &str) -> String {
    let path = "/socket.io/?EIO=4&transport=polling";
    let open = http::get(address, path, &[]).await;
    assert_eq!(open.status, 200, "{open:?}");
    let open: serde_json::Value = serde_json::from_str(&open.body[1..]).expect("an open packet");
    format!("{path}&sid={}", open["sid"].as_str().expect("an id"))
}
