//! Every metric, by name.
//!
//! Owns the registry and the handles. Rooms and users are never labels. Cloning shares the same metrics.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

type FloatGauge = Gauge<f64, AtomicU64>;

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal),+ $(,)? } as $label:ident in $set:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$value_doc])* $value),+ }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
                match self { $(Self::$value => $text),+ }.encode(encoder)
            }
        }

        #[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
        struct $set { $label: $name }
    };
}

label! {
    /// What made the reader read while it slept.
    WakeSource {
        /// A notification.
        Notify = "notify",
        /// The poll was due.
        Poll = "poll",
    } as source in WakeLabels
}
label! {
    /// How a connection attempt ended.
    Connect {
        /// A socket without a past.
        New = "new",
        /// It goes on where it was.
        Resumed = "resumed",
        /// It had a past, and can't be told what it missed.
        Resync = "resync",
        /// Sent away with a `connect_error`.
        Refused = "refused",
    } as outcome in ConnectLabels
}
label! {
    /// How a join ended.
    Join {
        /// The socket is in the room.
        Joined = "joined",
        /// It is, and was told that continuity can't be proved.
        Resync = "resync",
        /// The arguments were wrong.
        BadRequest = "bad_request",
        /// The identity may not.
        Forbidden = "forbidden",
        /// The database was away.
        Unavailable = "unavailable",
        /// The socket is in as many rooms as it may be.
        TooManyRooms = "too_many_rooms",
    } as outcome in JoinLabels
}
label! {
    /// A limit that was hit.
    Limit {
        /// Rooms of one socket.
        Rooms = "rooms",
        /// Events a second of one socket.
        EventRate = "event_rate",
        /// Bytes of one message.
        MessageSize = "message_size",
        /// Time from the accepted connection to the Socket.IO CONNECT.
        HandshakeTime = "handshake_time",
        /// Events of one socket that wait to be handled.
        Inbox = "inbox",
        /// API requests a second of one address.
        HttpRate = "http_rate",
        /// Long-polls that wait.
        LongPolls = "long_polls",
    } as limit in LimitLabels
}
label! {
    /// A transport of Engine.IO.
    Transport {
        /// HTTP long-polling.
        Polling = "polling",
        /// WebSocket.
        Websocket = "websocket",
    } as transport in TransportLabels
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HttpLabels {
    route: &'static str,
    status: u16,
}

/// Handle to the metrics, cheap to clone and to keep: each connection has one.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Meters>);

/// The metrics themselves.
pub(crate) struct Meters {
    sockets: Family<TransportLabels, Gauge>,
    connects: Family<ConnectLabels, Counter>,
    disconnects: Family<ReasonLabels, Counter>,
    joins: Family<JoinLabels, Counter>,
    limits: Family<LimitLabels, Counter>,
    wakes: Family<WakeLabels, Counter>,
    http: Family<HttpLabels, Counter>,
    /// Events taken from the outbox.
    pub events_read: Counter,
    /// Events handed to sockets: one event to ten sockets counts ten.
    pub deliveries: Counter,
    /// Missed events sent to sockets that came back, fell behind or joined with an offset.
    pub replayed: Counter,
    /// Times a socket had no room for an event of the broadcast, and was left to a replay.
    pub fell_behind: Counter,
    /// Replays that ended by a panic, whose client was cut.
    pub replay_panics: Counter,
    /// Sockets that were cut because they read too slowly.
    pub slow_consumers: Counter,
    /// Seconds from the change, by the database's clock, to its broadcast.
    pub commit_to_broadcast: Histogram,
    /// Events of the read at hand that are still to be broadcast.
    pub lag_events: Gauge,
    /// Seconds since a read last found everything.
    pub lag_seconds: FloatGauge,
    /// Times the LISTEN connection was lost.
    pub listener_reconnects: Counter,
    /// How full the cluster's NOTIFY queue is, from 0 to 1.
    pub notify_queue: FloatGauge,
    /// Rows of the outbox, as the planner estimates them.
    pub outbox_rows: Gauge,
    /// Bytes of the outbox on disk, indexes included.
    pub outbox_bytes: Gauge,
    /// Events removed because they were older than the retention.
    pub pruned: Counter,
    /// Events that could not be sent: no room, or not readable.
    pub capture_errors: Counter,
    /// Long-polls that wait.
    pub long_polls: Gauge,
    /// Typing events relayed, from clients and from SQL.
    pub typing: Counter,
    /// Typing notifications dropped because too many came at once.
    pub typing_dropped: Counter,
}

impl Deref for Metrics {
    type Target = Meters;

    fn deref(&self) -> &Meters {
        &self.0
    }
}

impl Metrics {
    /// Registers every metric in a fresh registry.
    pub(crate) fn new() -> (Self, Registry) {
        let metrics = Self(Arc::new(Meters {
            sockets: Family::default(),
            connects: Family::default(),
            disconnects: Family::default(),
            joins: Family::default(),
            limits: Family::default(),
            wakes: Family::default(),
            http: Family::default(),
            events_read: Counter::default(),
            deliveries: Counter::default(),
            replayed: Counter::default(),
            fell_behind: Counter::default(),
            replay_panics: Counter::default(),
            slow_consumers: Counter::default(),
            commit_to_broadcast: Histogram::new(exponential_buckets(0.000_25, 2.0, 18)),
            lag_events: Gauge::default(),
            lag_seconds: FloatGauge::default(),
            listener_reconnects: Counter::default(),
            notify_queue: FloatGauge::default(),
            outbox_rows: Gauge::default(),
            outbox_bytes: Gauge::default(),
            pruned: Counter::default(),
            capture_errors: Counter::default(),
            long_polls: Gauge::default(),
            typing: Counter::default(),
            typing_dropped: Counter::default(),
        }));
        let mut registry = Registry::with_prefix("rowcast");
        let r = &mut registry;
        r.register(
            "sockets",
            "Connected sockets by transport",
            metrics.sockets.clone(),
        );
        r.register(
            "connects",
            "Connection attempts by outcome",
            metrics.connects.clone(),
        );
        r.register(
            "disconnects",
            "Ended connections by reason",
            metrics.disconnects.clone(),
        );
        r.register("joins", "Joins by outcome", metrics.joins.clone());
        r.register("limits", "Limits that were hit", metrics.limits.clone());
        r.register("wakes", "What woke the reader", metrics.wakes.clone());
        r.register(
            "http_requests",
            "HTTP requests by route and status",
            metrics.http.clone(),
        );
        r.register(
            "events_read",
            "Events taken from the outbox",
            metrics.events_read.clone(),
        );
        r.register(
            "deliveries",
            "Events handed to sockets",
            metrics.deliveries.clone(),
        );
        r.register(
            "replayed_events",
            "Missed events sent to sockets",
            metrics.replayed.clone(),
        );
        r.register(
            "fell_behind",
            "Times a socket had no room for an event",
            metrics.fell_behind.clone(),
        );
        r.register(
            "replay_panics",
            "Replays that failed by a fault of the server's",
            metrics.replay_panics.clone(),
        );
        r.register(
            "slow_consumers",
            "Sockets cut because they read too slowly",
            metrics.slow_consumers.clone(),
        );
        r.register(
            "commit_to_broadcast_seconds",
            "From the change to its broadcast",
            metrics.commit_to_broadcast.clone(),
        );
        r.register(
            "reader_lag_events",
            "Events read and not yet broadcast",
            metrics.lag_events.clone(),
        );
        r.register(
            "reader_lag_seconds",
            "Since a read last found everything",
            metrics.lag_seconds.clone(),
        );
        r.register(
            "listener_reconnects",
            "Times the LISTEN connection was lost",
            metrics.listener_reconnects.clone(),
        );
        r.register(
            "notify_queue_usage_ratio",
            "How full the NOTIFY queue is",
            metrics.notify_queue.clone(),
        );
        r.register(
            "outbox_rows",
            "Rows of the outbox, estimated",
            metrics.outbox_rows.clone(),
        );
        r.register(
            "outbox_bytes",
            "Bytes of the outbox with its indexes",
            metrics.outbox_bytes.clone(),
        );
        r.register(
            "pruned_events",
            "Events removed by retention",
            metrics.pruned.clone(),
        );
        r.register(
            "capture_errors",
            "Events that could not be sent",
            metrics.capture_errors.clone(),
        );
        r.register(
            "long_polls",
            "HTTP requests that wait for an event",
            metrics.long_polls.clone(),
        );
        r.register(
            "typing_events",
            "Typing events relayed",
            metrics.typing.clone(),
        );
        r.register(
            "typing_dropped",
            "Typing notifications dropped in a flood",
            metrics.typing_dropped.clone(),
        );
        (metrics, registry)
    }

    /// The reader was woken.
    pub(crate) fn wakes(&self, source: WakeSource) {
        self.wakes.get_or_create(&WakeLabels { source }).inc();
    }

    /// A connection attempt ended.
    pub(crate) fn connects(&self, outcome: Connect) {
        self.connects
            .get_or_create(&ConnectLabels { outcome })
            .inc();
    }

    /// A connection ended.
    pub(crate) fn disconnects(&self, reason: &'static str) {
        self.disconnects
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }

    /// A join ended.
    pub(crate) fn joins(&self, outcome: Join) {
        self.joins.get_or_create(&JoinLabels { outcome }).inc();
    }

    /// A limit was hit.
    pub(crate) fn limits(&self, limit: Limit) {
        self.limits.get_or_create(&LimitLabels { limit }).inc();
    }

    /// How many sockets there are.
    pub(crate) fn sockets(&self, transport: Transport, count: i64) {
        self.sockets
            .get_or_create(&TransportLabels { transport })
            .set(count);
    }

    /// A request was answered.
    pub(crate) fn http(&self, route: &'static str, status: u16) {
        self.http.get_or_create(&HttpLabels { route, status }).inc();
    }
}
