//! HTTP by hand on one connection, from an address of choice: what names a host, and who is counted, is said exactly.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::http::{self, Response};
use super::wait::within;

/// One connection. Each address of 127.0.0.0/8 is one to call from.
pub(crate) struct Caller {
    tcp: TcpStream,
    unread: Vec<u8>,
}

impl Caller {
    /// Connects from `source` to `address`.
    pub(crate) async fn from(source: &str, address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = format!("{source}:0").parse().expect("an address");
        socket.bind(source).expect("an address of this machine");
        let address = address.parse().expect("an address");
        let tcp = within("the server to accept", socket.connect(address)).await;
        Self {
            tcp: tcp.expect("the server accepts"),
            unread: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, text: &str) {
        let _closed_shows_on_reading = self.tcp.write_all(text.as_bytes()).await;
    }

    /// `GET path` with these headers, and a `Host` only if it is among them.
    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.request("GET", path, headers, "").await
    }

    /// As [`Caller::get`]; `None` if the connection ends first.
    pub(crate) async fn try_get(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Option<Response> {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        self.send(&format!("GET {path} HTTP/1.1\r\n{headers}\r\n"))
            .await;
        within("an answer, or the end", self.answer()).await
    }

    /// Any request with these headers.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
        .await;
        let what = format!("the answer to {method} {path}");
        let answer = within(&what, self.answer()).await;
        answer.unwrap_or_else(|| panic!("the connection ended before {what}"))
    }

    /// The next answer; `None` if the connection has ended.
    pub(crate) async fn answer(&mut self) -> Option<Response> {
        loop {
            if let Some(end) = self.whole_answer() {
                let answer: Vec<u8> = self.unread.drain(..end).collect();
                return Some(http::parse(&answer));
            }
            let mut bytes = [0; 4096];
            match self.tcp.read(&mut bytes).await {
                Ok(read) if read > 0 => self.unread.extend(&bytes[..read]),
                _ => return None,
            }
        }
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn ended(&mut self) {
        while self.answer().await.is_some() {}
    }

    /// Where the first answer that was read ends.
    fn whole_answer(&self) -> Option<usize> {
        let head = self
            .unread
            .windows(4)
            .position(|four| four == b"\r\n\r\n")?
            + 4;
        let text = String::from_utf8_lossy(&self.unread[..head]).to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().expect("a length"));
        (self.unread.len() >= head + length).then_some(head + length)
    }
}
