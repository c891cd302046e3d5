//! The answer to a connection for which there is no place: it is written before anything is read, and costs next to nothing. And the
//! answer to one that does not speak TLS where it must.
//!
//! A client that has sent its request, and finds the connection closed with the request unread, may see a reset in place of the
//! answer. So what it sends is read and dropped for a moment. Few are waited for like that; beyond, they are closed at once.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http_error::Error;
use crate::quota::Full;

/// Connections that are waited for at a time.
pub(super) const MAX_WAITED_FOR: usize = 256;
/// How long one is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the client that there is no place, and ends the connection.
pub(super) async fn refuse(mut tcp: TcpStream, full: Full) {
    let answer = answer(full);
    let ending = async {
        tcp.write_all(answer.as_bytes()).await?;
        tcp.shutdown().await?;
        let mut dropped = [0; 1024];
        while tcp.read(&mut dropped).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // However it ends, the connection is closed.
    let _ended = timeout(PATIENCE, ending).await;
}

/// Whether a connection that begins with this byte is HTTP without TLS: a method is in capitals, and a handshake is record type 22.
pub(super) fn is_plain_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}

/// Tells a client that it must speak TLS. It has sent something, which is read and dropped.
pub(super) async fn refuse_plain(tcp: &TcpStream) {
    let body =
        r#"{"error":{"code":"bad_request","message":"this port speaks TLS: use https or wss"}}"#;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
    );
    // A connection that is new takes this much.
    if tcp.writable().await.is_err() || tcp.try_write(answer.as_bytes()).is_err() {
        return;
    }
    let _ = rustix::net::shutdown(tcp, rustix::net::Shutdown::Write);
    let _either_way = timeout(PATIENCE, read_to_end(tcp)).await;
}

/// Reads and drops what still comes: otherwise the kernel would reset the connection, and the answer would not be read.
pub(super) async fn read_to_end(tcp: &TcpStream) {
    let mut dropped = [0; 1024];
    while tcp.readable().await.is_ok() {
        match tcp.try_read(&mut dropped) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

fn answer(full: Full) -> String {
    let error = error_of(full);
    let (status, body) = (error.status(), error.body().to_string());
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: {}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len(),
        error.retry_after_seconds().unwrap_or_default(),
    )
}

/// What a client is told for which there is no place.
pub(super) fn error_of(full: Full) -> Error {
    match full {
        Full::InAll => Error::NoConnectionLeft,
        Full::Each => Error::TooManyConnections,
    }
}
