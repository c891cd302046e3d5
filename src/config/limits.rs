//! How much of the server one socket, one address, one identity, and all together may use.
//!
//! Guarantees that each limit has a default with which nobody who behaves is hurt, also where many people share one address.

use std::time::Duration;

use super::lookup::SettingLookup;
use super::quantity;

/// What clients may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `ROWCAST_MAX_CONNECTIONS`: TCP connections, and engine sessions, at a time.
    pub max_connections: usize,
    /// `ROWCAST_MAX_CONNECTIONS_PER_ADDRESS`: the same of one address.
    pub max_connections_per_address: usize,
    /// `ROWCAST_MAX_HANDSHAKE_RATE`: Socket.IO sessions that one address may open a second.
    pub max_handshake_rate: u32,
    /// `ROWCAST_MAX_SOCKETIO_RATE`: requests at `/socket.io` of one address a second.
    pub max_socketio_rate: u32,
    /// `ROWCAST_MAX_ROOMS`: rooms a socket may be in.
    pub max_rooms: usize,
    /// `ROWCAST_MAX_EVENT_RATE`: incoming events a second.
    pub max_event_rate: u32,
    /// `ROWCAST_MAX_MESSAGE_SIZE`: the largest message a client may send.
    pub max_message_bytes: usize,
    /// `ROWCAST_MAX_HTTP_RATE`: API requests a second from one address, and of one identity.
    pub max_http_rate: u32,
    /// `ROWCAST_MAX_LONG_POLLS`: API requests of one address, and of one identity, that wait at a time.
    pub max_long_polls: usize,
    /// `ROWCAST_MAX_READ_RATE`: messages and events a second that one identity, or one address without identities, may read of
    /// what is past.
    pub max_read_rate: u32,
    /// `ROWCAST_MAX_SESSIONS_SIZE`: what is kept of the resume sessions that one identity, or one address without identities, has left.
    pub max_sessions_bytes: usize,
    /// `ROWCAST_HANDSHAKE_TIMEOUT`: from the accepted connection to the Socket.IO CONNECT.
    pub handshake_timeout: Duration,
    /// `ROWCAST_KEEP_ALIVE`: how long a connection without a request is kept.
    pub keep_alive: Duration,
    /// `ROWCAST_ANSWER_TIMEOUT`: how long a client may take to read an answer.
    pub answer_timeout: Duration,
}

impl Limits {
    pub(super) fn resolve(read: &mut SettingLookup<'_>) -> Self {
        Self {
            max_connections: read.value("ROWCAST_MAX_CONNECTIONS", quantity::count),
            max_connections_per_address: read
                .value("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", quantity::count),
            max_handshake_rate: read.value("ROWCAST_MAX_HANDSHAKE_RATE", quantity::count),
            max_socketio_rate: read.value("ROWCAST_MAX_SOCKETIO_RATE", quantity::count),
            max_rooms: read.value("ROWCAST_MAX_ROOMS", quantity::count),
            max_event_rate: read.value("ROWCAST_MAX_EVENT_RATE", quantity::count),
            max_message_bytes: read.value("ROWCAST_MAX_MESSAGE_SIZE", quantity::bytes),
            max_http_rate: read.value("ROWCAST_MAX_HTTP_RATE", quantity::count),
            max_long_polls: read.value("ROWCAST_MAX_LONG_POLLS", quantity::count),
            max_read_rate: read.value("ROWCAST_MAX_READ_RATE", quantity::count),
            max_sessions_bytes: read.value("ROWCAST_MAX_SESSIONS_SIZE", quantity::stored_bytes),
            handshake_timeout: read.value("ROWCAST_HANDSHAKE_TIMEOUT", |text| {
                quantity::duration(text, quantity::HANDSHAKE_TIMEOUT)
            }),
            keep_alive: read.value("ROWCAST_KEEP_ALIVE", |text| {
                quantity::duration(text, quantity::KEEP_ALIVE)
            }),
            answer_timeout: read.value("ROWCAST_ANSWER_TIMEOUT", |text| {
                quantity::duration(text, quantity::ANSWER_TIMEOUT)
            }),
        }
    }
}
