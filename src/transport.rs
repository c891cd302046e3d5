//! Everything that exists only because of TCP, HTTP/1 and the engine (Engine.IO) under Socket.IO.
//!
//! Owns the listening sockets, each connection, and the way of an event to one client. It does what socketioxide and
//! engineioxide don't offer, and could go if they did: events are written past their queues, CONNECT gets its `pid`, and a
//! client that reads slowly is metered and can be cut.
//!
//! - `server`: accepts connections and serves HTTP; `rules`: how many, how long, and whom they count for; `refusal`: the answer
//!   where there is no place
//!   `listening_socket`: how many wait, and how it is closed; `last_request`: what a connection may still bring then;
//!   `reading`: what it waits for; `answer`: the body of an answer, as the client takes it
//! - `connection`: one TCP connection as a place to write frames; `stream`: the same one as hyper and engineioxide see it
//!   `tls`: the session that encrypts it, on a listener with TLS
//! - `handshake`, `opening`, `probe`, `upgrade_task`: how a connection becomes a WebSocket
//! - `engine_middleware`: the requests at `/socket.io`, before the engine sees them, with what they need in `engine_gate`;
//!   `engine_limits`: how many an address may send;
//!   `polling`: those of a session that polls;
//!   `poll_answer`: the engine's answers to them; `engine_error`: what refused requests are answered
//! - `engine_session`, `engine_sessions`: what is known of an engine session, by itself and by its id
//! - `client_transport`: implements [`SubscriberTransport`](crate::delivery::SubscriberTransport); `engine_queue`: how much
//!   waits in socketioxide's queue for a client that began by polling
//! - `incoming`, `client_packet`: what clients send, checked and made readable; `close_code`: why a connection is closed
//! - `encode`, `frame`, `query`: packets, WebSocket frames, query parameters
//!
//! Relies on `delivery` for what is sent, and knows nothing of rooms, resume sessions, or the database.

mod answer;
mod client_packet;
mod client_transport;
mod close_code;
mod connection;
mod encode;
mod engine_error;
mod engine_gate;
mod engine_limits;
mod engine_middleware;
mod engine_queue;
mod engine_session;
mod engine_sessions;
mod frame;
#[cfg(test)]
mod fuzz;
mod handshake;
mod incoming;
mod last_request;
mod listening_socket;
mod opening;
mod poll_answer;
mod polling;
mod probe;
mod query;
mod reading;
mod refusal;
mod rules;
mod server;
mod stream;
mod tls;
mod upgrade_task;

pub(crate) use client_transport::{Ack, ClientTransport, engine_session, own_connection};
pub(crate) use connection::Connection;
pub(crate) use engine_gate::EngineGate;
pub(crate) use engine_limits::EngineLimits;
pub(crate) use engine_middleware::engine_middleware;
pub(crate) use engine_session::Turn;
pub(crate) use listening_socket::{ListeningSocket, WAITING_CONNECTIONS};
pub(crate) use opening::{OpenSession, Opener};
pub(crate) use reading::Patience;
pub(crate) use rules::ConnectionRules;
pub(crate) use server::serve;
