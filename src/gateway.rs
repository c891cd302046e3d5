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
use hyper::service::Service as _;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Extension, SocketRef};
use socketioxide::handler::ConnectHandler;
use socketioxide::socket::DisconnectReason;
use tokio::time::{Instant, timeout};

mod broadcast;
mod client;
mod hub;
mod inbox;
mod outlet;
mod protocol;
mod session;
pub mod typing;

pub use broadcast::Broadcast;
pub use hub::Hub;

use crate::auth::{self, ConnectError, Identity};
use crate::config::{Limits, Origins};
use crate::metrics::{Connect, Join, Metrics};
use crate::server::query_value;
use crate::wire::Wire;

use client::{Client, Packet};
use inbox::{Inbox, Incoming};
use protocol::{JoinArgs, Outgoing, Refusal, Request};
use session::Handshake;

/// Packets that may wait in socketioxide for a socket that polls.
const QUEUE_PACKETS: usize = 1024;
/// A poll response holds this much at most. Above it a packet is parked, and lost at an upgrade: keep it above any payload.
const POLL_RESPONSE_BYTES: u64 = 20 * 1024 * 1024;
/// An idle socket needs little: messages from clients are short, and a longer one is read in pieces of this size.
const READ_BUFFER_BYTES: usize = 128;

/// The gateway: see the module.
pub struct Gateway {
    io: SocketIo,
}

/// What every connection shares.
struct Shared {
    hub: Arc<Hub>,
    origins: Origins,
    limits: Limits,
    metrics: Metrics,
    next_id: AtomicU64,
}

/// What the middleware hands to the connect handler.
#[derive(Clone)]
struct Admitted {
    identity: Identity,
    inbox: Arc<Inbox>,
    wire: Option<Arc<Wire>>,
}

impl Gateway {
    /// Builds the gateway and the service that answers at `/socket.io`.
    pub fn new(
        hub: Arc<Hub>,
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
            hub,
            origins,
            limits: limits.clone(),
            metrics,
            next_id: AtomicU64::new(1),
        });
        let middleware = {
            let shared = shared.clone();
            async move |socket: SocketRef| shared.admit(&socket)
        };
        let connected = async move |socket: SocketRef, admitted: Extension<Admitted>| {
            shared.clone().greet(socket, admitted.0).await;
        };
        io.ns("/", connected.with(middleware));
        (
            Self { io },
            any_service(service).layer(middleware::from_fn_with_state(rule, session::guard)),
        )
    }

    /// Closes every connection, waiting for `deadline` at most. The clients see a closed transport and reconnect by
    /// themselves. The listening socket must be closed before: socketioxide would tell a newcomer that there is no
    /// such namespace, which a stock client takes for final.
    pub async fn close(&self, deadline: Duration) {
        if timeout(deadline, self.io.close()).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }
}

impl Shared {
    /// The connect middleware: decides, and registers the handler before CONNECT can be sent.
    fn admit(self: &Arc<Self>, socket: &SocketRef) -> Result<(), ConnectError> {
        let identity = auth::authenticate(socket.req_parts(), &self.origins)
            .inspect_err(|_| self.metrics.connects(Connect::Refused))?;
        if let Some(handshake) = socket.req_parts().extensions.get::<Arc<Handshake>>() {
            handshake.done();
        }
        let inbox = Inbox::new(self.limits.max_event_rate, self.metrics.clone());
        let wire = own_wire(socket);
        if let Some(wire) = &wire {
            wire.open();
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
            inbox,
            wire,
        });
        Ok(())
    }

    /// The connect handler: CONNECT is on its way.
    async fn greet(self: Arc<Self>, socket: SocketRef, admitted: Admitted) {
        let Admitted {
            identity,
            inbox,
            wire,
        } = admitted;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let client = Arc::new(Client::new(
            id,
            identity,
            inbox.clone(),
            socket.clone(),
            wire,
        ));
        inbox.belongs_to(&client);
        let shared = self.clone();
        socket.on_disconnect(async move |_: SocketRef, reason: DisconnectReason| {
            if shared.hub.disconnect(id) {
                shared.metrics.disconnects(reason_label(reason));
            }
        });
        if !self.hub.connect(&client) {
            return;
        }
        self.metrics.connects(Connect::New);
        tracing::debug!(connection = id, "connected");
        let offset = self.hub.offset().unwrap_or_default();
        self.hub.send(&client, &Outgoing::ready(offset));
        self.work(&client).await;
        if client.inbox.is_flooded() {
            client.outlet.cut();
        }
    }

    /// Handles what the inbox holds, one event after another.
    async fn work(&self, client: &Arc<Client>) {
        while let Some(incoming) = client.inbox.next() {
            self.handle(client, incoming).await;
        }
    }

    async fn handle(&self, client: &Arc<Client>, Incoming { request, args, ack }: Incoming) {
        let refused = match (request, args) {
            (Request::Join, args) => match self.permit(client, args).await {
                Ok(join) => return self.hub.join(client, &join, ack),
                Err(refusal) => {
                    self.metrics.joins(match refusal {
                        Refusal::Forbidden(_) => Join::Forbidden,
                        _ => Join::BadRequest,
                    });
                    Err(refusal)
                }
            },
            (_, Err(refusal)) => Err(refusal),
            (Request::Leave, Ok(args)) => match protocol::contact_arg(&args) {
                Ok(contact) => return self.hub.leave(client, &contact, ack),
                Err(refusal) => Err(refusal),
            },
            (Request::TypingStart | Request::TypingStop, Ok(args)) => {
                let typing = request == Request::TypingStart;
                protocol::contact_arg(&args)
                    .and_then(|contact| self.hub.client_types(client, &contact, typing))
            }
            (Request::Unknown, Ok(_)) => Err(Refusal::unknown_event()),
        };
        match refused {
            Ok(()) => client
                .outlet
                .answer(ack, &serde_json::json!({ "ok": true })),
            Err(refusal) => client.refuse(&refusal, ack),
        }
    }

    async fn permit(
        &self,
        client: &Client,
        args: Result<Vec<serde_json::Value>, Refusal>,
    ) -> Result<JoinArgs, Refusal> {
        let join = JoinArgs::parse(&args?)?;
        auth::may_join(&client.identity, &join.contact.room())
            .await
            .map_err(|auth::Denied| Refusal::Forbidden("not allowed"))?;
        Ok(join)
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
