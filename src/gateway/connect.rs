//! A connection's beginning and end: who it is, whether it comes back, and what it is greeted with.
//!
//! Everything is decided, and the handler registered, in the connect middleware, which runs before the CONNECT packet is sent:
//! a client that joins right after connecting is never faster than its handler.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::socket::DisconnectReason;
use tokio::time::{Instant, sleep};

use super::Shared;
use super::client::{Client, Packet};
use super::inbox::{Inbox, Incoming};
use super::outgoing::Outgoing;
use super::resume::{self, Claim, Comeback};
use super::session::Handshake;
use super::stream::Stream;
use crate::auth::{self, ConnectError, Identity};
use crate::backoff::Backoff;
use crate::event::Room;
use crate::metrics::Connect;
use crate::outbox::{self, PidHash, Session};
use crate::server::query_value;
use crate::wire::Wire;

/// Why a connection is turned away: the `connect_error` message that the client sees.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Auth(#[from] ConnectError),
    /// The database was away for longer than the handshake may take.
    #[error("unavailable")]
    Unavailable,
}

/// What the middleware hands to the connect handler.
#[derive(Clone)]
pub(super) struct Admitted {
    identity: Identity,
    session: Session,
    comeback: Arc<Comeback>,
    inbox: Arc<Inbox>,
    wire: Option<Arc<Wire>>,
}

impl Shared {
    /// The connect middleware: decides, and registers the handler before CONNECT can be sent.
    pub(super) async fn admit(
        self: &Arc<Self>,
        socket: &SocketRef,
        auth: Option<serde_json::Value>,
    ) -> Result<(), Refused> {
        let identity = auth::authenticate(socket.req_parts(), &self.pages)
            .inspect_err(|_| self.metrics.connects(Connect::Refused))?;
        if let Some(handshake) = socket.req_parts().extensions.get::<Arc<Handshake>>() {
            handshake.done();
        }
        let session = |pid: &str| Session {
            pid: PidHash::of(pid),
            identity: identity.name(),
            owner: rand::random(),
        };
        let wire = own_wire(socket);
        let claim = auth.as_ref().and_then(Claim::of);
        let claimed = claim.as_ref().map(|claim| session(&claim.pid));
        let comeback = match (&claim, &claimed) {
            (Some(claim), Some(session)) => {
                let ended = || wire.as_ref().is_some_and(|wire| wire.is_cut());
                self.comeback(claim, session, &identity, ended).await?
            }
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
        match &wire {
            Some(wire) => wire.open(&pid),
            None => self.hub.greet(socket.id.as_str(), &pid, &inbox),
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
        ended: impl Fn() -> bool,
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
            sleep(backoff.next()).await;
            // What a client that has gone would take, it would take from its next connection.
            let late = self.limits.handshake_timeout + Duration::from_secs(1);
            if ended() || begun.elapsed() > late {
                return Err(Refused::Unavailable);
            }
        }
    }

    /// The connect handler: CONNECT is on its way.
    pub(super) async fn greet(self: Arc<Self>, socket: SocketRef, admitted: Admitted) {
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
