//! The Socket.IO side: connections, rooms and the broadcast into them.
//!
//! Owns the protocol with clients (contract, section 3): how they come in (`connect`), what they ask for (`join`), what they
//! are sent (`broadcast`) and what they missed (`resume`, `replay`).
//! Refuses origins that are not allowed, and everything while it drains.
//! Relies on the reader for events (through [`Broadcast`]) and on the outbox for what was missed, and knows nothing of SQL or HTTP routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::middleware;
use axum::routing::{MethodRouter, any_service};
use hyper::service::Service as _;
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use tokio::time::{Instant, sleep_until, timeout};

mod broadcast;
mod client;
mod connect;
mod hub;
mod inbox;
mod join;
mod outgoing;
mod outlet;
mod protocol;
pub mod replay;
mod resume;
mod session;
pub mod sessions;
mod stream;
pub mod typing;

pub use broadcast::Broadcast;
pub use hub::Hub;

use crate::auth::Pages;
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::outbox::{Replays, Sessions};
use connect::Admitted;
use replay::Replay;

/// Packets that may wait in socketioxide for a socket that polls.
const QUEUE_PACKETS: usize = 1024;
/// A poll response holds this much at most. Above it a packet is parked, and lost at an upgrade: keep it above any payload.
const POLL_RESPONSE_BYTES: u64 = 20 * 1024 * 1024;
/// Between the ends of two connections when the server stops.
const SPREAD: Duration = Duration::from_millis(1);
/// An idle socket needs little: messages from clients are short, and a longer one is read in pieces of this size.
const READ_BUFFER_BYTES: usize = 128;

/// The gateway: see the module.
pub struct Gateway {
    io: SocketIo,
    hub: Arc<Hub>,
    sessions: Arc<Sessions>,
    closing: Arc<AtomicBool>,
}

/// What every connection shares.
struct Shared {
    hub: Arc<Hub>,
    replay: Replay,
    sessions: Arc<Sessions>,
    pages: Pages,
    limits: Limits,
    metrics: Metrics,
    next_id: AtomicU64,
}

impl Gateway {
    /// Builds the gateway and the service that answers at `/socket.io`.
    pub fn new(
        hub: Arc<Hub>,
        (sessions, replays): (Arc<Sessions>, Arc<Replays>),
        pages: Pages,
        limits: &Limits,
        metrics: Metrics,
    ) -> (Self, MethodRouter) {
        let (service, io) = SocketIo::builder()
            .max_buffer_size(QUEUE_PACKETS)
            .max_payload(POLL_RESPONSE_BYTES)
            .ws_read_buffer_size(READ_BUFFER_BYTES)
            .ws_max_message_size(limits.max_message_bytes)
            .ws_max_frame_size(limits.max_message_bytes)
            .connect_timeout(limits.handshake_timeout)
            .upgrade_timeout(limits.handshake_timeout)
            .build_svc();
        let engine = service.clone();
        let closing = Arc::new(AtomicBool::new(false));
        let rule = session::Rule {
            limit: limits.handshake_timeout,
            hub: hub.clone(),
            closing: closing.clone(),
            open: Arc::new(move |stream, request| {
                if let Err(error) = engine.call((stream, request)).into_inner() {
                    tracing::debug!("the engine refused a connection: {error}");
                }
            }),
        };
        let shared = Arc::new(Shared {
            replay: Replay {
                hub: hub.clone(),
                replays,
            },
            hub: hub.clone(),
            sessions: sessions.clone(),
            pages,
            limits: limits.clone(),
            metrics,
            next_id: AtomicU64::new(1),
        });
        let middleware = {
            let shared = shared.clone();
            async move |socket: SocketRef, TryData(auth): TryData<serde_json::Value>| {
                shared.admit(&socket, auth.ok()).await
            }
        };
        let connected = async move |socket: SocketRef| {
            // Taken, not looked at: what a client came back with would stay for as long as the socket.
            if let Some(admitted) = socket.extensions.remove::<Admitted>() {
                shared.clone().greet(socket, admitted).await;
            }
        };
        io.ns("/", connected.with(middleware));
        (
            Self {
                io,
                hub,
                sessions,
                closing,
            },
            any_service(service).layer(middleware::from_fn_with_state(rule, session::guard)),
        )
    }

    /// Closes every connection within `deadline`, in a spread: those who come back at once would all ask at once. They see
    /// a closed transport and reconnect by themselves. The listening socket must be closed before: socketioxide would
    /// tell a newcomer that there is no such namespace, which a stock client takes for final.
    pub async fn close(&self, deadline: Duration) {
        // Whoever comes back to another server is to find its session as it is.
        let kept = self.hub.served();
        match timeout(deadline / 4, self.sessions.touch_all(&kept)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("sessions could not be kept up: {error}"),
            Err(_) => tracing::warn!("sessions could not be kept up in time"),
        }
        let clients = self.hub.clients();
        let spread = (SPREAD * u32::try_from(clients.len()).unwrap_or(u32::MAX)).min(deadline / 4);
        let begun = Instant::now();
        let count = clients.len().max(1) as f64;
        for (index, client) in clients.into_iter().enumerate() {
            sleep_until(begun + spread.mul_f64(index as f64 / count)).await;
            client.outlet.cut();
        }
        self.closing.store(true, Ordering::Release);
        if timeout(deadline / 2, self.io.close()).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }
}
