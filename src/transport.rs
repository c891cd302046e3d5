//! Everything that exists only because of TCP, HTTP/1 and the engine (Engine.IO) under Socket.IO.
//!
//! Owns the listening sockets, each connection, and the way of an event to one client. What socketioxide and engineioxide do not
//! offer is done here, and this wing could be torn down alone if they did: events are written past their queues, CONNECT gets
//! its `pid`, slow clients are metered and can be cut.
//!
//! - `server`: accepts connections and serves HTTP; `connection` and `stream`: one TCP connection, with two who write to it
//! - `handshake`, `opening`, `upgrade_task`: how a connection becomes a WebSocket
//! - `engine_middleware`, `poll_answer`: the requests at `/socket.io`, before and after the engine; `engine_sessions`: what is
//!   known by the engine's session id
//! - `client_transport`: implements [`SubscriberTransport`](crate::delivery::SubscriberTransport)
//! - `encode`, `frame`, `query`: packets, WebSocket frames, query parameters
//!
//! Relies on `delivery` for what is sent, and knows nothing of rooms, sessions of clients, or the database.

mod client_transport;
mod connection;
mod encode;
mod engine_middleware;
mod engine_sessions;
mod frame;
mod handshake;
mod opening;
mod poll_answer;
mod query;
mod server;
mod stream;
mod upgrade_task;

pub(crate) use client_transport::{Ack, ClientTransport, own_connection};
pub(crate) use connection::Connection;
pub(crate) use engine_middleware::{EngineGate, engine_middleware};
pub(crate) use engine_sessions::EngineSessions;
pub(crate) use opening::HandshakeTimer;
pub(crate) use server::{Peer, serve};
