//! The fourth step of the start: rooms, replays, typing and the Socket.IO server.
//!
//! Nothing here needs the database to answer yet: what is built waits for events and for clients. It is also the place where
//! `delivery` and `db` meet, which don't know each other: replays read through [`SharedReads`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::authentication::Authentication;
use super::database::Served;
use super::presence;
use super::tasks::{StopPhase, Tasks};
use crate::auth::{Authenticator, OriginPolicy, RoomPolicy};
use crate::config::Config;
use crate::db::{Policy, Sessions, SharedReads, log_wait};
use crate::delivery::{
    BehindReceiver, Broadcast, EndedRights, Hub, ReadFailed, Replay, ReplaySource, RoomNotifier,
    run_typing,
};
use crate::metrics::Metrics;
use crate::offset::{ReplayPage, RoomRange};
use crate::quota::Rates;
use crate::revocations::Revocations;
use crate::socketio::{SocketServer, SocketServerParts};
use crate::status::Checks;

/// Long-polls that may wait at a time.
pub(super) const MAX_LONG_POLLS: usize = 10_000;
/// Seconds' worth of what may be read of the past that may be read at once: after an outage all clients of an office load their
/// rooms together.
const READ_BURST_SECONDS: u32 = 30;
/// Typing notifications that may wait to be relayed.
const TYPING_QUEUE: usize = 1024;
/// Notifications of takeovers that may wait.
const TAKEOVER_QUEUE: usize = 1024;

/// The parts that deliver events, for the steps that follow.
pub(super) struct Delivery {
    pub(super) socket_server: SocketServer,
    /// What answers at `/socket.io`.
    pub(super) socketio: axum::routing::MethodRouter,
    pub(super) notifier: Arc<RoomNotifier>,
    pub(super) origin_policy: OriginPolicy,
    /// What identities, and addresses without one, read of the past.
    pub(super) reads: Arc<Rates>,
    pub(super) authenticator: Authenticator,
    pub(super) revocations: Arc<Revocations>,
    pub(super) room_policy: RoomPolicy,
    /// Takes what `rowcast.typing` notifies.
    pub(super) typing: mpsc::Sender<String>,
    pub(super) metrics: Metrics,
}

/// The ends of the channels that the loops on the database's side hold.
pub(super) struct FeedEnds {
    pub(super) broadcast: Broadcast,
    pub(super) wake: watch::Sender<()>,
    pub(super) woken: watch::Receiver<()>,
    pub(super) typing: mpsc::Sender<String>,
    pub(super) takeovers: mpsc::Sender<String>,
    /// Says that another server has written who is in its rooms.
    pub(super) presence: watch::Sender<()>,
}

pub(super) fn start(
    config: &Config,
    authentication: Authentication,
    served: &Served,
    metrics: &Metrics,
    checks: &Checks,
    tasks: &mut Tasks,
) -> (Delivery, FeedEnds) {
    let (wake, woken) = watch::channel(());
    let (typing, typed) = mpsc::channel(TYPING_QUEUE);
    let (takeovers, taken_over) = mpsc::channel(TAKEOVER_QUEUE);
    let (ended, ended_rights) = mpsc::unbounded_channel();
    let (hub, behind) = hub(config, &wake, metrics);
    let presence = presence::start(config, served, &hub, checks, tasks);
    let notifier = RoomNotifier::new(MAX_LONG_POLLS);
    let reads = Arc::new(Rates::new(config.limits.max_read_rate, READ_BURST_SECONDS));
    let room_policy = room_policy(config, served, metrics);
    let replay = replay(config, served, &hub);
    let (socket_server, socketio, leases) = SocketServer::new(SocketServerParts {
        hub: hub.clone(),
        replay: replay.clone(),
        sessions: sessions(config, served, checks),
        origin_policy: authentication.origin_policy.clone(),
        authenticator: authentication.authenticator.clone(),
        room_policy: room_policy.clone(),
        lease: config.policy.lease,
        limits: config.limits.clone(),
        reads: reads.clone(),
        closing_clients: tasks.closing_clients.clone(),
        metrics: metrics.clone(),
    });
    start_serving(hub.clone(), typed, replay, behind, tasks);
    let ends = (taken_over, ended_rights);
    start_keepers(&socket_server, config.retention, ends, tasks);
    tasks.start("leases", StopPhase::Rest, |stop| leases.run(stop));
    let revocations = hub.revocations.clone();
    let ends = FeedEnds {
        broadcast: Broadcast::new(hub, notifier.clone(), ended),
        wake,
        woken,
        typing: typing.clone(),
        takeovers,
        presence,
    };
    let delivery = Delivery {
        socket_server,
        socketio,
        notifier,
        reads,
        origin_policy: authentication.origin_policy,
        authenticator: authentication.authenticator,
        revocations,
        room_policy,
        typing,
        metrics: metrics.clone(),
    };
    (delivery, ends)
}

fn hub(config: &Config, wake: &watch::Sender<()>, metrics: &Metrics) -> (Arc<Hub>, BehindReceiver) {
    let revocations = Revocations::new(config.max_token_age);
    let max_rooms = config.limits.max_rooms;
    Hub::new(max_rooms, wake.clone(), revocations, metrics.clone())
}

fn sessions(config: &Config, served: &Served, checks: &Checks) -> Arc<Sessions> {
    let (pool, share) = (served.pools.main.clone(), config.limits.max_sessions_bytes);
    Arc::new(Sessions::new(pool, checks.clone(), share))
}

fn replay(config: &Config, served: &Served, hub: &Arc<Hub>) -> Arc<Replay<SharedReads>> {
    let outbox = SharedReads::new(served.pools.replay.clone(), config.max_payload_bytes);
    Arc::new(Replay::new(hub.clone(), outbox))
}

/// Starts what serves connected clients beside the broadcast.
fn start_serving(
    hub: Arc<Hub>,
    typed: mpsc::Receiver<String>,
    replay: Arc<Replay<SharedReads>>,
    behind: BehindReceiver,
    tasks: &mut Tasks,
) {
    tasks.start("typing", StopPhase::Rest, |stop| {
        run_typing(hub, typed, stop)
    });
    tasks.start("replay", StopPhase::Rest, |stop| replay.run(behind, stop));
}

/// Starts what looks after clients and their stored sessions.
fn start_keepers(
    server: &SocketServer,
    retention: Duration,
    (taken_over, ended_rights): (mpsc::Receiver<String>, mpsc::UnboundedReceiver<EndedRights>),
    tasks: &mut Tasks,
) {
    let keeper = server.session_keeper();
    tasks.start("sessions", StopPhase::Rest, |stop| {
        keeper.run(retention, taken_over, stop)
    });
    tasks.start("expiry", StopPhase::Rest, server.expiry());
    let rights = server.ended_rights_keeper();
    tasks.start("ended rights", StopPhase::Rest, |stop| {
        rights.run(ended_rights, stop)
    });
}

/// Who may join which room, asked on connections that are there for nothing else.
fn room_policy(config: &Config, served: &Served, metrics: &Metrics) -> RoomPolicy {
    let pool = served.pools.policy.clone();
    RoomPolicy::new(Policy::new(pool, config.policy.timeout, metrics.clone()))
}

/// Replays read the outbox through the pool of replays.
impl ReplaySource for SharedReads {
    async fn read(&self, ranges: Vec<RoomRange>) -> Result<Arc<ReplayPage>, ReadFailed> {
        Self::read(self, ranges).await.map_err(|error| {
            log_wait("a replay", &error);
            ReadFailed
        })
    }
}
