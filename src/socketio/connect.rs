//! A connection's beginning and end: who the client is, whether it resumes, and what it is sent first.
//!
//! Owns the order of the steps. `admit`, the connect middleware, runs before the CONNECT packet is sent: it decides, and it
//! registers the handler of events, so that a client which joins right after connecting is never faster than its handler.
//! `welcome`, the connect handler, runs after that: it makes the client known and sends the ready event, or the replay.
//! `see_off` runs when the socket has ended.
//! Guarantees: at most one connection of this server has a resume session; the earlier one is closed.

mod ask_rooms;
mod begin_session;
mod connect_auth;
mod departure;
mod entrance;
mod refused;
mod see_off;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::socket::DisconnectReason;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::client::Client;
use super::inbox::Inbox;
use super::packet::Packet;
use super::protocol;
use super::requests::Requests;
use super::session::resume::{ResumeOutcome, ResumeRequest};
use crate::auth::{Identity, check_not_revoked};
use crate::config::Limits;
use crate::db::ResumeSession;
use crate::delivery::{
    DeliveryState, Hub, Outgoing, ReplaySource, Subscriber, SubscriberTransport as _,
};
use crate::event::Room;
use crate::metrics::{Connect, Limit, Metrics};
use crate::spans;
use crate::transport::{ClientTransport, Connection, engine_session, own_connection};
pub(super) use connect_auth::ConnectAuth;
use departure::{Departure, has_departed};
use entrance::Entrance;
pub(super) use refused::Refused;

/// Lets clients in, and cleans up after them.
pub(super) struct Connector<S> {
    pub(super) requests: Arc<Requests<S>>,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) next_id: AtomicU64,
}

/// What the middleware hands to the connect handler.
#[derive(Clone)]
pub(super) struct Admitted {
    identity: Identity,
    session: ResumeSession,
    outcome: Arc<ResumeOutcome>,
    entrance: Arc<Entrance>,
    connection: Option<Arc<Connection>>,
}

impl<S: ReplaySource> Connector<S> {
    fn hub(&self) -> &Arc<Hub> {
        &self.requests.hub
    }

    /// The connect middleware: decides, and registers the handler before CONNECT can be sent.
    pub(super) async fn admit(
        self: &Arc<Self>,
        socket: &SocketRef,
        auth: ConnectAuth,
    ) -> Result<(), Refused> {
        let span = spans::connect();
        let admitted = match auth.read() {
            Ok(auth) => {
                let decided = self.decide(socket, auth.as_ref());
                decided.instrument(span.clone()).await
            }
            Err(too_large) => {
                self.metrics.limits(Limit::AuthSize);
                Err(too_large)
            }
        };
        admitted.inspect_err(|refused| {
            self.metrics.connects(Connect::Refused);
            match refused {
                Refused::Unavailable => spans::fail(&span, refused),
                _ => spans::refuse(&span, refused),
            }
            // Said before the packet, which is sent once this has returned.
            match (own_connection(socket), engine_session(socket)) {
                (Some(connection), _) => connection.refuse(refused.data()),
                (None, Some(session)) => session.expect_refusal(refused.data()),
                (None, None) => {}
            }
        })
    }

    async fn decide(
        self: &Arc<Self>,
        socket: &SocketRef,
        auth: Option<&Value>,
    ) -> Result<(), Refused> {
        let engine_session = engine_session(socket);
        if engine_session.is_some_and(|session| !session.take_connect(Instant::now())) {
            self.metrics.limits(Limit::ConnectRate);
            return Err(Refused::TooManyConnects);
        }
        let authenticator = &self.requests.authenticator;
        let identity = authenticator.authenticate(socket.req_parts(), auth).await?;
        check_not_revoked(&identity, &self.hub().revocations)?;
        let turn = match engine_session {
            Some(session) => {
                session.set_connected();
                // A client that left the namespace a moment ago must not find its resume session before that has ended.
                Some(session.turn().await)
            }
            None => None,
        };
        let connection = own_connection(socket);
        if connection.is_none() && engine_session.is_some_and(|session| session.is_websocket()) {
            // It has gone meanwhile.
            return Err(Refused::Unavailable);
        }
        let has_ended = || connection.as_ref().is_some_and(|own| own.is_cut());
        let request = auth.and_then(ResumeRequest::of);
        let address = engine_session.and_then(|session| session.holder());
        let (pid, session, outcome) = self
            .begin_session(request, &identity, address, has_ended)
            .await?;
        spans::set_outcome(&Span::current(), outcome.name());

        let inbox = Inbox::new(self.limits.max_event_rate, self.metrics.clone());
        let entrance = Entrance::new(inbox, turn);
        match (&connection, engine_session) {
            (Some(connection), _) => connection.open(&pid),
            (None, Some(session)) => session.expect_connect(&pid),
            (None, None) => {}
        }
        self.handle_events(socket, entrance.clone());
        socket.extensions.insert(Admitted {
            identity,
            session,
            outcome: Arc::new(outcome),
            entrance,
            connection,
        });
        Ok(())
    }

    /// One handler for every event. socketioxide calls it in the order of the packets, but spawns what it returns: so the event
    /// is put into the inbox at once, and the spawned part handles whatever is in there.
    fn handle_events(self: &Arc<Self>, socket: &SocketRef, entrance: Arc<Entrance>) {
        let connector = self.clone();
        socket.on_fallback(move |ack: AckSender, packet: Packet| {
            let must_work = entrance.push(packet, ack);
            let (connector, entrance) = (connector.clone(), entrance.clone());
            async move {
                if !must_work {
                    return;
                }
                match entrance.client() {
                    Some(client) => connector.requests.handle_inbox_or_cut(&client).await,
                    None => entrance.inbox.close(),
                }
            }
        });
    }

    /// The connect handler: CONNECT is on its way.
    pub(super) async fn welcome(
        self: Arc<Self>,
        io: SocketIo,
        socket: SocketRef,
        admitted: Admitted,
    ) {
        let Admitted {
            identity,
            session,
            outcome,
            entrance,
            connection,
        } = admitted;
        // Clients are served from the first read on, so there is one.
        let Some((position, number)) = self.hub().position() else {
            entrance.end_turn();
            return entrance.inbox.close();
        };
        let (state, resumed) = match &*outcome {
            ResumeOutcome::Resumed(resumed) => {
                (DeliveryState::behind(resumed.offset.clone()), true)
            }
            _ => (DeliveryState::live(position, number), false),
        };
        let ready = protocol::ready(state.complete_to_offset());
        let state = state
            .of(identity.bearer(&self.hub().revocations))
            .counting_for(self.presence_subject(&identity, &session));
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let transport = ClientTransport::new(socket.clone(), connection);
        let subscriber = Arc::new(Subscriber::new(id, transport.clone(), state));
        let inbox = entrance.inbox.clone();
        let client = Client::new(identity, session, inbox, subscriber, transport, resumed);
        let client = Arc::new(client);
        entrance.set_client(&client);
        let (connector, leaving) = (self.clone(), entrance.clone());
        socket.on_disconnect(Departure(async move |reason: DisconnectReason| {
            connector.see_off(id, reason).await;
            leaving.end_turn();
        }));
        let is_registered = self.register(&client);
        if let Some(session) = engine_session(&socket) {
            session.set_welcomed();
        }
        // Looked at last: whoever is gone by now may have been seen off before it was known.
        if !is_registered || has_departed(&io, &socket) {
            self.requests.clients.remove(id);
            self.hub().remove(&client.subscriber);
            entrance.end_turn();
            return client.inbox.close();
        }
        tracing::debug!(connection = id, "connected");
        self.hub().send(&client.subscriber, &ready);
        self.send_outcome(&client, &outcome).await;
        self.requests.handle_inbox_or_cut(&client).await;
        if entrance.was_flooded() {
            client.transport.close();
        }
    }

    /// Makes a client known everywhere, and ends the one that had its session. False: what it proved was revoked.
    fn register(&self, client: &Arc<Client>) -> bool {
        let clients = &self.requests.clients;
        clients.add(client);
        if !self.hub().add(&client.subscriber) {
            // It comes back, and is refused.
            client.transport.close();
            return false;
        }
        if let Some(leeway) = self.requests.authenticator.leeway() {
            clients.expect_expiry(client, leeway);
        }
        true
    }

    /// Tells a client how it came in, and puts one that resumes into its rooms.
    async fn send_outcome(&self, client: &Arc<Client>, outcome: &ResumeOutcome) {
        match outcome {
            ResumeOutcome::New => self.metrics.connects(Connect::New),
            ResumeOutcome::Lost { rooms, reason } => {
                self.metrics.connects(Connect::Resync);
                self.send_resyncs(client, rooms, reason);
            }
            ResumeOutcome::Resumed(resumed) => {
                self.metrics.connects(Connect::Resumed);
                let (rooms, left) = (resumed.rooms.clone(), resumed.left.clone());
                let has_left = self.hub().restore(&client.subscriber, rooms, left);
                for joined in resumed.rooms.iter().filter(|it| it.watches_presence) {
                    self.hub().presence.tell(&client.subscriber, &joined.room);
                }
                let must_store = resumed.must_store || has_left;
                // Stored before anything is replayed: what the client's present offset has proved, a later one may not.
                if !must_store || self.requests.store_session(client).await.is_ok() {
                    self.hub().start_replay(&client.subscriber);
                } else {
                    client.transport.close();
                }
            }
        }
    }

    fn send_resyncs(&self, client: &Client, rooms: &[Room], reason: &str) {
        for room in rooms {
            self.hub()
                .send(&client.subscriber, &Outgoing::resync(room, reason));
        }
    }
}
