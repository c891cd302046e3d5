//! The probe of an upgrade: whether the WebSocket that a polling client has opened carries anything (Engine.IO protocol v4,
//! "Upgrade").
//!
//! Why it exists: proxies and virus scanners break WebSockets in every way, which is why stock clients begin by polling. The engine
//! ends the session when a probe fails, and answers no poll while one is pending. So the client is probed here, and the engine
//! hears of the upgrade when it is certain.
//! Guarantees that a probe that fails ends nothing but its own connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::close_code::CloseCode;
use super::engine_session::EngineSession;
use super::frame;
use super::incoming::{Incoming, Message};
use super::stream::ConnectionStream;

const PROBE: &[u8] = b"2probe";
const UPGRADE: &[u8] = b"5";
/// How long a client may take to close its side of a WebSocket that was refused.
const LINGER: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 512;

/// Why a probe failed: the code for the client, if it did what the protocol does not allow.
type Failed = Option<CloseCode>;

/// Probes the client for at most `limit`. Returns the stream for the engine, which reads the probe from it as if it came only now;
/// `None`: the session goes on by polling.
pub(super) async fn run(
    mut stream: ConnectionStream,
    mut incoming: Incoming,
    limit: Duration,
    session: &Arc<EngineSession>,
) -> Option<ConnectionStream> {
    let probed = timeout(limit, converse(&mut stream, &mut incoming, session)).await;
    let failed = match probed {
        Ok(Ok(())) if session.upgrade_to(stream.connection()) => {
            let [probe, upgrade] =
                [PROBE, UPGRADE].map(|text| Message::Text(Bytes::from_static(text)));
            let again = [probe.to_client_frames(), upgrade.to_client_frames()].concat();
            stream.begin_websocket(incoming, &again);
            stream.swallow_probe_answer();
            return Some(stream);
        }
        Ok(Err(code)) => code,
        Ok(Ok(())) | Err(_) => None,
    };
    session.end_probe();
    refuse(stream, failed).await;
    None
}

/// Answers the client until it has said all that an upgrade needs.
async fn converse(
    stream: &mut ConnectionStream,
    incoming: &mut Incoming,
    session: &EngineSession,
) -> Result<(), Failed> {
    let mut is_probed = false;
    let mut bytes = [0; READ_BYTES];
    loop {
        while let Some(message) = incoming.next()? {
            let answer = match message {
                Message::Text(text) if text == PROBE => {
                    is_probed = true;
                    frame::probe_answer()
                }
                // Without a probe nobody knows whether the client hears us.
                Message::Text(text) if text == UPGRADE && is_probed => return Ok(()),
                Message::Ping(payload) => frame::pong(&payload),
                Message::Pong(_) => continue,
                Message::Text(_) | Message::Binary(_) | Message::Close(_) => return Err(None),
            };
            stream.write_all(&answer).await.map_err(|_| None)?;
            if is_probed {
                session.set_probed();
            }
        }
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return Err(None),
            Ok(read) => incoming.push(&bytes[..read]),
        }
    }
}

/// Closes a WebSocket. What the client still sends is read: otherwise the kernel would drop the close frame, too.
pub(super) async fn refuse(mut stream: ConnectionStream, code: Failed) {
    let closed = match code {
        Some(code) => stream.write_all(&frame::close(code as u16)).await,
        None => stream.write_all(frame::CLOSE).await,
    };
    if closed.is_err() {
        return;
    }
    let mut bytes = [0; READ_BYTES];
    let ended = async { while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
    let _either_way = timeout(LINGER, ended).await;
}
