//! The Socket.IO side: connections, rooms and the broadcast into them.
//!
//! Owns the protocol with clients (contract, section 3). The handler is registered in the connect middleware, which runs
//! before the CONNECT packet is sent: a client that joins right after connecting is never faster than its handler.
//! Refuses origins that are not allowed, and everything while it drains.
//! Relies on the reader for events (through [`Broadcast`]) and knows nothing of SQL or HTTP routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::middleware;
use axum::routing::{MethodRouter, any_service};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::service::Service as _;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::socket::DisconnectReason;
use tokio::time::{Instant, sleep, sleep_until, timeout};

mod broadcast;
mod client;
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

use crate::auth::{self, ConnectError, Identity};
use crate::backoff::Backoff;
use crate::config::{Limits, Origins};
use crate::event::Room;
use crate::metrics::{Connect, Metrics};
use crate::outbox::{self, PidHash, Replays, Session, Sessions};
use crate::server::query_value;
use crate::wire::Wire;

use client::{Client, Packet};
use inbox::{Inbox, Incoming};
use outgoing::Outgoing;
use replay::Replay;
use resume::{Claim, Comeback};
use session::Handshake;
use stream::Stream;

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
}

/// Why a connection is turned away: the `connect_error` message that the client sees.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Auth(#[from] ConnectError),
    /// The database was away for longer than the handshake may take.
    #[error("unavailable")]
    Unavailable,
}

/// What every connection shares.
struct Shared {
    hub: Arc<Hub>,
    replay: Replay,
    sessions: Arc<Sessions>,
    origins: Origins,
    limits: Limits,
    metrics: Metrics,
    next_id: AtomicU64,
}

/// What the middleware hands to the connect handler.
#[derive(Clone)]
struct Admitted {
    identity: Identity,
    session: Session,
    comeback: Arc<Comeback>,
    inbox: Arc<Inbox>,
    wire: Option<Arc<Wire>>,
}

impl Gateway {
    /// Builds the gateway and the service that answers at `/socket.io`.
    pub fn new(
        hub: Arc<Hub>,
        (sessions, replays): (Arc<Sessions>, Arc<Replays>),
        origins: Origins,
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
        let rule = session::Rule {
            limit: limits.handshake_timeout,
            hub: hub.clone(),
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
            sessions,
            origins,
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
            Self { io, hub },
            any_service(service).layer(middleware::from_fn_with_state(rule, session::guard)),
        )
    }

    /// Closes every connection within `deadline`, in a spread: those who come back at once would all ask at once. They see
    /// a closed transport and reconnect by themselves. The listening socket must be closed before: socketioxide would
    /// tell a newcomer that there is no such namespace, which a stock client takes for final.
    pub async fn close(&self, deadline: Duration) {
        let clients = self.hub.clients();
        let spread = (SPREAD * u32::try_from(clients.len()).unwrap_or(u32::MAX)).min(deadline / 2);
        let begun = Instant::now();
        let count = clients.len().max(1) as f64;
        for (index, client) in clients.into_iter().enumerate() {
            sleep_until(begun + spread.mul_f64(index as f64 / count)).await;
            client.outlet.cut();
        }
        if timeout(deadline / 2, self.io.close()).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }
}

impl Shared {
    /// The connect middleware: decides, and registers the handler before CONNECT can be sent.
    async fn admit(
        self: &Arc<Self>,
        socket: &SocketRef,
        auth: Option<serde_json::Value>,
    ) -> Result<(), Refused> {
        let identity = auth::authenticate(socket.req_parts(), &self.origins)
            .inspect_err(|_| self.metrics.connects(Connect::Refused))?;
        if let Some(handshake) = socket.req_parts().extensions.get::<Arc<Handshake>>() {
            handshake.done();
        }
        let session = |pid: &str| Session {
            pid: PidHash::of(pid),
            identity: identity.name(),
            owner: rand::random(),
        };
        let claim = auth.as_ref().and_then(Claim::of);
        let claimed = claim.as_ref().map(|claim| session(&claim.pid));
        let comeback = match (&claim, &claimed) {
            (Some(claim), Some(session)) => self.comeback(claim, session, &identity).await?,
            _ => Comeback::New,
        };
        let (pid, session) = match (&comeback, claim, claimed) {
            (Comeback::Resumed(_), Some(claim), Some(session)) => (claim.pid, session),
            _ => {
                let pid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
                let session = session(&pid);
                (pid, session)
            }
        };
        let inbox = Inbox::new(self.limits.max_event_rate, self.metrics.clone());
        let wire = own_wire(socket);
        match &wire {
            Some(wire) => wire.open(&pid),
            None => self.hub.greet(socket.id.as_str(), &pid),
        }
        let (queue, shared) = (inbox.clone(), self.clone());
        // One handler for whatever comes. What runs in it at once runs in the order of the packets; what it returns is
        // spawned. See `inbox`.
        socket.on_fallback(move |ack: AckSender, packet: Packet| {
            let ack = packet.ack(ack);
            let Packet { request, args, .. } = packet;
            let work = queue.push(Incoming { request, args, ack }, Instant::now());
            async move {
                if work && let Some(client) = queue.client() {
                    shared.work(&client).await;
                }
            }
        });
        socket.extensions.insert(Admitted {
            identity,
            session,
            comeback: Arc::new(comeback),
            inbox,
            wire,
        });
        Ok(())
    }

    /// How a client that comes back comes in. A database that is away is waited for, while the client waits for its CONNECT:
    /// the engine ends the connection at its time limit, and the client tries again.
    async fn comeback(
        &self,
        claim: &Claim,
        session: &Session,
        identity: &Identity,
    ) -> Result<Comeback, Refused> {
        let (begun, mut backoff) = (Instant::now(), Backoff::default());
        loop {
            match self.sessions.take(session.clone()).await {
                Ok(taken) => {
                    let comeback = resume::judge(taken, claim, identity).await;
                    if let Comeback::Lost { .. } = comeback
                        && let Err(error) = self.sessions.forget(session).await
                    {
                        tracing::debug!("a session that ended stays until it is pruned: {error}");
                    }
                    return Ok(comeback);
                }
                Err(error) => outbox::log_wait("a client that comes back", &error),
            }
            if begun.elapsed() > self.limits.handshake_timeout + Duration::from_secs(1) {
                return Err(Refused::Unavailable);
            }
            sleep(backoff.next()).await;
        }
    }

    /// The connect handler: CONNECT is on its way.
    async fn greet(self: Arc<Self>, socket: SocketRef, admitted: Admitted) {
        let Admitted {
            identity,
            session,
            comeback,
            inbox,
            wire,
        } = admitted;
        let Some((position, number)) = self.hub.position() else {
            return;
        };
        let stream = match &*comeback {
            Comeback::Resumed(resumed) => Stream::behind(resumed.offset.clone()),
            _ => Stream::live(position, number),
        };
        let (ready, fall) = (Outgoing::ready(stream.sent.pack()), stream.fall());
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let client = Client::new(id, identity, session, inbox, socket.clone(), wire, stream);
        let client = Arc::new(client);
        client.inbox.belongs_to(&client);
        let shared = self.clone();
        socket.on_disconnect(async move |_: SocketRef, reason: DisconnectReason| {
            shared.farewell(id, reason).await;
        });
        let Some(earlier) = self.hub.connect(&client) else {
            return;
        };
        if let Some(earlier) = earlier {
            earlier.outlet.cut();
        }
        tracing::debug!(connection = id, "connected");
        self.hub.send(&client, &ready);
        match &*comeback {
            Comeback::New => self.metrics.connects(Connect::New),
            Comeback::Lost { rooms, reason } => {
                self.metrics.connects(Connect::Resync);
                self.resync(&client, rooms, reason);
            }
            Comeback::Resumed(resumed) => {
                self.metrics.connects(Connect::Resumed);
                self.resync(&client, &resumed.denied, "not allowed");
                self.hub.restore(&client, resumed.rooms.clone());
                // Before anything is replayed: from then on the client's offset says less.
                if !resumed.changed || self.keep(&client).await {
                    self.hub.fell_behind(&client, fall.unwrap_or_default());
                } else {
                    client.outlet.cut();
                }
            }
        }
        self.work(&client).await;
        if client.inbox.is_flooded() {
            client.outlet.cut();
        }
    }

    fn resync(&self, client: &Client, rooms: &[Room], reason: &str) {
        for room in rooms {
            self.hub.send(client, &Outgoing::resync(room, reason));
        }
    }

    /// A socket has ended. Its session stays, unless the client said goodbye.
    async fn farewell(&self, id: u64, reason: DisconnectReason) {
        let Some((client, served)) = self.hub.disconnect(id) else {
            return;
        };
        self.metrics.disconnects(reason_label(reason));
        if !client.kept.load(Ordering::Relaxed) {
            return;
        }
        let session = client.session.clone();
        let done = match reason {
            DisconnectReason::ClientNSDisconnect => {
                self.sessions.forget(&session).await.map_err(Arc::new)
            }
            _ => self.sessions.touch(session, served).await,
        };
        if let Err(error) = done {
            tracing::debug!("the session of a connection that ended stays as it was: {error}");
        }
    }
}

/// The connection, where the socket was a WebSocket from its first byte. One that began by polling keeps to
/// socketioxide's queue after its upgrade as well, so that its order holds.
fn own_wire(socket: &SocketRef) -> Option<Arc<Wire>> {
    let request = socket.req_parts();
    let websocket = query_value(&request.uri, "transport") == Some("websocket");
    request
        .extensions
        .get::<Arc<Wire>>()
        .filter(|_| websocket)
        .cloned()
}

fn reason_label(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::TransportClose => "transport_close",
        DisconnectReason::TransportError => "transport_error",
        DisconnectReason::MultipleHttpPollingError => "multiple_polls",
        DisconnectReason::PacketParsingError => "bad_packet",
        DisconnectReason::HeartbeatTimeout => "ping_timeout",
        DisconnectReason::ClientNSDisconnect => "client_disconnect",
        DisconnectReason::ServerNSDisconnect => "server_disconnect",
        DisconnectReason::ClosingServer => "server_closing",
    }
}
