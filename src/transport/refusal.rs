//! The answer to a connection for which there is no place: it is written before anything is read, and costs next to nothing.
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
