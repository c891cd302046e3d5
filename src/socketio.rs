//! The Socket.IO side: who connects, what clients ask for, and what they are answered.
//!
//! Owns the protocol with clients:
//! - `connect`: lets a connection in and cleans up after it; `client`: a connected client
//! - `packet`, `inbox`: what a client sends, queued as it came; `protocol`: arguments, answers and errors; `bounded_json`:
//!   their JSON, in few values
//! - `requests`: handles joins, leaves and typing
//! - `closing`: the end of all clients, when the server stops
//! - `inspection`: what an operator may see of the clients
//! - `session`: resume sessions, by which a client that comes back goes on where it was
//!
//! Refuses origins that are not allowed, and everybody while the server stops.
//! Relies on `delivery` for who gets which event, on `transport` for how it gets there, and on `db` for the stored sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use axum::middleware;
use axum::routing::{MethodRouter, any_service};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::service::Service as _;
use socketioxide::extract::SocketRef;
use socketioxide::handler::ConnectHandler;
use socketioxide::{ParserConfig, SocketIo, SocketIoBuilder};
use tokio_util::sync::CancellationToken;

mod bounded_json;
mod client;
mod closing;
mod connect;
#[cfg(test)]
mod fuzz;
mod inbox;
pub(crate) mod inspection;
mod lease;
mod packet;
mod protocol;
mod requests;
mod session;

pub(crate) use lease::Leases;
pub(crate) use session::{EndedRightsKeeper, SessionKeeper};
#[cfg(test)]
pub(crate) use session::{SessionOwners, resume, store};

use crate::auth::{Authenticator, OriginPolicy, RoomPolicy};
use crate::config::Limits;
use crate::db::Sessions;
use crate::delivery::{Hub, Replay, ReplaySource};
use crate::metrics::Metrics;
use crate::quota::{Places, Rates};
use crate::transport::{EngineGate, EngineLimits, OpenSession, Opener, engine_middleware};
use connect::{Admitted, ConnectAuth, Connector};
use requests::{Requests, SessionWrites, TypingRate};
use session::{Clients, cut_ended};

/// Packets that may wait in socketioxide for a polling client. So many that a client's bytes reach their bound first: an upgrade
/// needs a place in the queue.
const QUEUE_PACKETS: usize = 4096;
/// The engine asks each client whether it is there: the pause between two pings, and the wait for the answer. A client that does
/// not answer, because it is gone or hangs, is ended by the engine after the sum of both.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of one answer to a poll. A packet that does not fit is held back for the next answer and lost if the client upgrades
/// meanwhile, so this must be larger than any payload.
const POLL_RESPONSE_BYTES: u64 = 20 * 1024 * 1024;
/// An idle socket needs little: messages from clients are short, and a longer one is read in pieces of this size.
const READ_BUFFER_BYTES: usize = 128;

/// The Socket.IO server.
pub(crate) struct SocketServer {
    io: SocketIo,
    hub: Arc<Hub>,
    clients: Arc<Clients>,
    sessions: Arc<Sessions>,
    closing: Arc<AtomicBool>,
    metrics: Metrics,
}

/// What the Socket.IO server is made of.
pub(crate) struct SocketServerParts<S> {
    /// Who is in which room.
    pub hub: Arc<Hub>,
    /// Replays what a client missed, for joins with an offset.
    pub replay: Arc<Replay<S>>,
    /// The resume sessions.
    pub sessions: Arc<Sessions>,
    /// Which pages may connect.
    pub origin_policy: OriginPolicy,
    /// Who connects.
    pub authenticator: Authenticator,
    /// Who may join which room.
    pub room_policy: RoomPolicy,
    /// How long that holds while a client stays: `ROWCAST_POLICY_LEASE`.
    pub lease: Duration,
    /// What clients may ask for.
    pub limits: Limits,
    /// What identities, and addresses without one, read of the past.
    pub reads: Arc<Rates>,
    /// Clients are being cut, and nobody new is let in.
    pub closing_clients: CancellationToken,
    /// What is counted.
    pub metrics: Metrics,
}

fn engine_gate(
    open: OpenSession,
    origin_policy: &OriginPolicy,
    limits: &Limits,
    closing_clients: CancellationToken,
    metrics: &Metrics,
) -> EngineGate {
    let origin_policy = origin_policy.clone();
    let sessions = Places::new(limits.max_connections, limits.max_connections_per_address);
    EngineGate {
        limits: EngineLimits::new(
            sessions,
            limits.max_handshake_rate,
            limits.max_socketio_rate,
            metrics.clone(),
        ),
        handshake_timeout: limits.handshake_timeout,
        opener: Opener {
            open,
            max_message_bytes: limits.max_message_bytes,
            max_event_rate: limits.max_event_rate,
            probe_timeout: limits.handshake_timeout,
            metrics: metrics.clone(),
        },
        check_origin: Arc::new(move |headers| {
            let _only_logged = origin_policy.may_connect(headers);
        }),
        sessions: Arc::default(),
        closing_clients,
        closing: Arc::default(),
        metrics: metrics.clone(),
    }
}

/// socketioxide, with its limits.
fn engine(limits: &Limits) -> SocketIoBuilder {
    SocketIo::builder()
        .max_buffer_size(QUEUE_PACKETS)
        .max_payload(POLL_RESPONSE_BYTES)
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        // Behind the transport, which lets nothing binary through.
        .with_parser(
            ParserConfig::common()
                .max_incoming_binaries(0)
                .max_incoming_binary_buf_size(0),
        )
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .ws_max_message_size(limits.max_message_bytes)
        .ws_max_frame_size(limits.max_message_bytes)
        .connect_timeout(limits.handshake_timeout)
        .upgrade_timeout(limits.handshake_timeout)
}

impl SocketServer {
    /// Builds the server, the service that answers at `/socket.io`, and the task that asks the policy again about who stays.
    pub(crate) fn new<S: ReplaySource>(
        parts: SocketServerParts<S>,
    ) -> (Self, MethodRouter, Leases<S>) {
        let SocketServerParts {
            hub,
            replay,
            sessions,
            origin_policy,
            authenticator,
            room_policy,
            lease,
            limits,
            reads,
            closing_clients,
            metrics,
        } = parts;
        let (service, io) = engine(&limits).build_svc();
        let engine_service = service.clone();
        let open: OpenSession = Arc::new(move |stream, request| {
            if let Err(error) = engine_service.call((stream, request)).into_inner() {
                tracing::debug!("the engine refused a connection: {error}");
            }
        });
        let gate = engine_gate(open, &origin_policy, &limits, closing_clients, &metrics);
        let server = Self {
            io,
            hub: hub.clone(),
            clients: Arc::default(),
            sessions: sessions.clone(),
            closing: gate.closing.clone(),
            metrics: metrics.clone(),
        };
        let requests = Arc::new(Requests {
            hub,
            replay,
            sessions,
            reads,
            session_writes: SessionWrites::default(),
            typing: TypingRate::default(),
            clients: server.clients.clone(),
            authenticator,
            room_policy,
        });
        let leases = Leases::new(requests.clone(), lease);
        server.serve_clients(Connector {
            requests,
            limits,
            metrics,
            next_id: AtomicU64::new(1),
        });
        let layer = middleware::from_fn_with_state(gate, engine_middleware);
        (server, any_service(service).layer(layer), leases)
    }

    fn serve_clients<S: ReplaySource>(&self, connector: Connector<S>) {
        let connector = Arc::new(connector);
        let middleware = {
            let connector = connector.clone();
            async move |socket: SocketRef, auth: ConnectAuth| connector.admit(&socket, auth).await
        };
        let connected = async move |io: SocketIo, socket: SocketRef| {
            // Removed, not only read: the socket holds its extensions for as long as it lives.
            if let Some(admitted) = socket.extensions.remove::<Admitted>() {
                connector.clone().welcome(io, socket, admitted).await;
            }
        };
        self.io.ns("/", connected.with(middleware));
    }

    /// Builds the task that looks after the resume sessions of this server's clients.
    pub(crate) fn session_keeper(&self) -> SessionKeeper {
        SessionKeeper {
            hub: self.hub.clone(),
            clients: self.clients.clone(),
            sessions: self.sessions.clone(),
        }
    }

    /// Builds the task that ends revoked rights in what is stored.
    pub(crate) fn ended_rights_keeper(&self) -> EndedRightsKeeper {
        EndedRightsKeeper {
            hub: self.hub.clone(),
            clients: self.clients.clone(),
            sessions: self.sessions.clone(),
        }
    }

    /// Builds the task that cuts the clients whose tokens have ended.
    pub(crate) fn expiry(
        &self,
    ) -> impl FnOnce(CancellationToken) -> BoxFuture<'static, ()> + use<> {
        let (expiries, metrics) = (self.clients.expiries.clone(), self.metrics.clone());
        move |stop| cut_ended(expiries, metrics, stop).boxed()
    }

    /// Returns a function that counts the connected clients for the metrics.
    pub(crate) fn meter(&self) -> impl Fn() + Send + Sync + 'static {
        let (clients, metrics) = (self.clients.clone(), self.metrics.clone());
        move || clients.measure(&metrics)
    }
}
