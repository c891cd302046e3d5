//! HTTP/1.1 in its plainest form, so that the tests see the bytes of status, headers and body that were sent.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tls;
use super::wait::within_for;

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

/// `GET path` from `address`.
pub(crate) async fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    request(address, "GET", path, headers, "").await
}

/// `POST path` with a text body.
pub(crate) async fn post(address: &str, path: &str, body: &str) -> Response {
    request(
        address,
        "POST",
        path,
        &[("content-type", "text/plain;charset=UTF-8")],
        body,
    )
    .await
}

/// Any request, on a connection of its own.
pub(crate) async fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let what = format!("the answer to {method} {path}");
    let answer = attempt(address, method, path, headers, body);
    let answer = within_for(Duration::from_secs(40), what, answer).await;
    answer.expect("the server accepts and answers")
}

/// Any request, if there is a server that answers.
pub(crate) async fn attempt(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Response> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));

    match tls::client_of(address) {
        // Boxed, because few tests speak TLS and every request would be as large.
        Some(client) => Box::pin(over_tls(address, client, &head)).await,
        None => exchange(TcpStream::connect(address).await.ok()?, &head).await,
    }
}

async fn over_tls(address: &str, client: Arc<ClientConfig>, head: &str) -> Option<Response> {
    exchange(tls::connect(address, client).await.ok()?, head).await
}

/// Sends a request, and reads until the server closes.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> Option<Response> {
    // A server may refuse on the headers alone and close before it has read a large body.
    let _refused_early = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _cut_after_the_answer = stream.read_to_end(&mut answer).await;
    let whole_head = answer.windows(4).any(|four| four == b"\r\n\r\n");
    whole_head.then(|| parse(&answer))
}

pub(super) fn parse(answer: &[u8]) -> Response {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("not an HTTP answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Response {
        status: status
            .and_then(|code| code.parse().ok())
            .expect("a status code"),
        headers,
        body: if chunked {
            unchunk(body)
        } else {
            body.to_owned()
        },
    }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
        if size == 0 {
            break;
        }
        // A connection that was cut ends in the middle of one.
        let Some((chunk, rest)) = rest.split_at_checked(size) else {
            break;
        };
        whole.push_str(chunk);
        body = rest.trim_start_matches("\r\n");
    }
    whole
}
