//! Every metric, by name.
//!
//! Owns the registry and the handles. A leaf: any module counts, `http::metrics` alone writes the figures out.
//! Guarantees that names and label values are constants, but for the attached tables, whose names the operator gave: rooms, users
//! and anything else that a client chose are never labels.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

#[macro_use]
mod labels;
mod limit;
mod pools;
mod process;
mod quantiles;
mod relay;
mod sources;
mod tokens;

use labels::{
    CheckLabels, ConnectLabels, HttpLabels, JoinLabels, ReasonLabels, RelayLabels, RelayRoleLabels,
    TlsReloadLabels, TransportLabels, WakeLabels,
};
pub(crate) use labels::{Connect, Join, RelayOutcome, RelayRole, TlsReload, Transport, WakeSource};
pub(crate) use limit::Limit;
use limit::{LimitLabels, LimitLog};
pub(crate) use pools::PoolFigures;
use pools::{PoolLabels, PoolStateLabels};
use process::BuildLabels;
pub(crate) use quantiles::Buckets;
use sources::SourceLabels;
pub(crate) use tokens::KeyRead;
use tokens::KeyReadLabels;

type FloatGauge = Gauge<f64, AtomicU64>;

/// Makes the struct of all metrics out of one entry each: field, kind, name, help text, and how it is made where that is not
/// by default.
macro_rules! meters {
    (@make) => { Default::default() };
    (@make $make:expr) => { $make };
    ($($(#[$doc:meta])* $vis:vis $field:ident: $kind:ty = $name:literal, $help:literal $(, $make:expr)?;)+) => {
        /// The metrics themselves.
        pub(crate) struct Meters { $($(#[$doc])* $vis $field: $kind),+ }

        impl Meters {
            /// Their names, without the prefix.
            #[cfg(test)]
            const NAMES: &[&str] = &[$($name),+];

            fn register(registry: &mut Registry) -> Self {
                let meters = Self { $($field: meters!(@make $($make)?)),+ };
                $(registry.register($name, $help, meters.$field.clone());)+
                meters
            }
        }
    };
}

meters! {
    /// Connected sockets.
    sockets: Family<TransportLabels, Gauge> = "sockets", "Connected sockets by transport";
    /// Ends of connection attempts.
    connects: Family<ConnectLabels, Counter> = "connects", "Connection attempts by outcome";
    /// Clients and requests that were refused before anything was asked.
    refusals: Family<ReasonLabels, Counter> = "refusals", "Connects and HTTP requests refused by authentication, by reason";
    /// Clients that were cut because their tokens had ended.
    pub expired: Counter = "expired_tokens", "Clients cut because their tokens had ended";
    /// Looks at the keys of tokens.
    key_reads: Family<KeyReadLabels, Counter> = "key_reads", "Times the keys of tokens were read or fetched, by outcome";
    /// Ends of connections.
    disconnects: Family<ReasonLabels, Counter> = "disconnects", "Ended connections by reason";
    /// Ends of joins.
    joins: Family<JoinLabels, Counter> = "joins", "Joins by outcome";
    /// Limits that were hit.
    limits: Family<LimitLabels, Counter> = "limits", "Limits that were hit";
    /// Wakes of the reader while it slept.
    wakes: Family<WakeLabels, Counter> = "wakes", "What woke the reader";
    /// What `/readyz` says.
    ready: Family<CheckLabels, Gauge> = "ready", "Whether each check of readiness passes: 1, or 0 while it fails";
    /// Answers over HTTP.
    http: Family<HttpLabels, Counter> = "http_requests", "HTTP requests by route and status";
    /// Events taken from the outbox.
    pub events_read: Counter = "events_read", "Events taken from the outbox";
    /// Reads that found so much that it was left to replays.
    pub large_reads: Counter = "large_reads", "Large commits that were left to replays";
    /// Events handed to sockets: one event to ten sockets counts ten.
    pub deliveries: Counter = "deliveries", "Events handed to sockets";
    /// Missed events sent to sockets that came back, fell behind or joined with an offset.
    pub replayed: Counter = "replayed_events", "Missed events sent to sockets";
    /// Times a socket had no room for an event of the broadcast, and was left to a replay.
    pub fell_behind: Counter = "fell_behind", "Times a socket had no room for an event";
    /// Clients that were cut because a replay of theirs, or the handling of their events, panicked.
    pub panics: Counter = "panics", "Clients cut because of a fault of the server's";
    /// Sockets that were cut because they read too slowly.
    pub slow_consumers: Counter = "slow_consumers", "Sockets cut because they read too slowly";
    /// Connections that ended before their TLS handshakes did.
    pub tls_handshake_failures: Counter = "tls_handshake_failures", "Connections that ended before their TLS handshake";
    /// Looks at changed certificate files.
    tls_reloads: Family<TlsReloadLabels, Counter> = "tls_reloads", "Times that changed certificate files were read, by outcome";
    /// When the served certificate ends, in seconds since 1970; 0 without TLS.
    pub tls_not_after: Gauge = "tls_certificate_not_after_timestamp_seconds", "When the served certificate ends; 0 without TLS";
    /// Seconds from the change, by the database's clock, to its broadcast.
    pub commit_to_broadcast: Histogram = "commit_to_broadcast_seconds", "From the change to its broadcast",
        Histogram::new(exponential_buckets(0.000_25, 2.0, 18));
    /// Events of the read at hand that are still to be broadcast.
    pub lag_events: Gauge = "reader_lag_events", "Events read and not yet broadcast";
    /// Seconds since a read last found everything.
    pub lag_seconds: FloatGauge = "reader_lag_seconds", "Since a read last found everything";
    /// Times the LISTEN connection was lost.
    pub listener_reconnects: Counter = "listener_reconnects", "Times the LISTEN connection was lost";
    /// Notifications of typing or of takeovers that no server has sent.
    pub forged_notifications: Counter = "forged_notifications", "Notifications that were not heeded, for want of a genuine tag";
    /// What this server is on the relay.
    relay_role: Family<RelayRoleLabels, Gauge> = "relay_role", "What the server is on the relay: 1 for one of leader, edge and alone";
    /// Messages of the relay.
    relay_messages: Family<RelayLabels, Counter> = "relay_messages", "Messages of the relay by outcome";
    /// How full the cluster's NOTIFY queue is, from 0 to 1.
    pub notify_queue: FloatGauge = "notify_queue_usage_ratio", "How full the NOTIFY queue is";
    /// Rows of the outbox, as the planner estimates them.
    pub outbox_rows: Gauge = "outbox_rows", "Rows of the outbox, estimated";
    /// Bytes of the outbox on disk, indexes included.
    pub outbox_bytes: Gauge = "outbox_bytes", "Bytes of the outbox with its indexes";
    /// Events removed because they were older than the retention.
    pub pruned: Counter = "pruned_events", "Events removed by retention";
    /// Resume sessions removed because nobody came back to them for longer than the retention.
    pub pruned_sessions: Counter = "pruned_sessions", "Resume sessions removed by retention, or beyond ROWCAST_MAX_SESSIONS_SIZE";
    /// Events that could not be sent: no room, or not readable.
    pub capture_errors: Counter = "capture_errors", "Events that could not be sent";
    /// What is wrong with each attached table.
    source_problems: Family<SourceLabels, Gauge> = "source_problems", "Problems of each attached table";
    /// Statements that wrote who is in which room.
    pub presence_writes: Counter = "presence_writes", "Statements that wrote who is in which room";
    /// Rows that they wrote or removed.
    pub presence_rows: Counter = "presence_rows_written", "Rows of presence that were written or removed";
    /// Sockets that are told who is in a room, each room counted.
    pub presence_watchers: Gauge = "presence_watchers", "Sockets that are told who is in a room, each room counted";
    /// Events that told them.
    pub presence_events: Counter = "presence_events", "Presence events sent to sockets";
    /// Revocations that are in force.
    pub revocations: Gauge = "revocations", "Revocations in force";
    /// Long-polls that wait.
    pub long_polls: Gauge = "long_polls", "HTTP requests that wait for an event";
    /// Questions to the policy.
    pub policy_calls: Counter = "policy_calls", "Questions to the policy: a join, a client that comes back, a read, a lease";
    /// Statements by which it was asked.
    pub policy_statements: Counter = "policy_statements", "Statements by which the policy was asked";
    /// Rooms that it refused.
    pub policy_denials: Counter = "policy_denials", "Rooms that the policy refused";
    /// Rooms for which it raised an error.
    pub policy_errors: Counter = "policy_errors", "Rooms for which the policy raised an error";
    /// Rooms for which it did not answer in time.
    pub policy_timeouts: Counter = "policy_timeouts", "Rooms for which the policy did not answer in time";
    /// Questions that were not answered for all of their rooms.
    pub policy_unavailable: Counter = "policy_unavailable", "Questions that the policy did not answer for all rooms";
    /// Seconds from a question to its answer.
    pub policy_seconds: Histogram = "policy_seconds", "From a question to the policy to its answer",
        Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
    /// Leases that ran out while the policy could not be asked.
    pub policy_leases_kept: Counter = "policy_leases_kept", "Leases kept because the policy could not be asked";
    /// Rooms that sockets were put out of.
    rooms_left: Family<ReasonLabels, Counter> = "rooms_left", "Rooms that sockets were put out of, by reason";
    /// Rows of resume sessions, as the planner estimates them.
    pub session_rows: Gauge = "session_rows", "Resume sessions that are stored, estimated";
    /// Bytes of the resume sessions on disk, indexes included.
    pub session_bytes: Gauge = "session_bytes", "Bytes of the stored resume sessions with their indexes";
    /// Bytes of the whole database on disk.
    pub database_bytes: Gauge = "database_bytes", "Bytes of the database, everything in it included";
    /// Connections to the database.
    database_connections: Family<PoolStateLabels, Gauge> = "database_connections", "Connections to the database by purpose and state";
    /// How many there may be.
    database_connections_most: Family<PoolLabels, Gauge> = "database_connections_max", "Connections to the database that there may be, by purpose";
    /// Times that nobody could have one in time.
    database_timeouts: Family<PoolLabels, Counter> = "database_connection_timeouts", "Times that a connection to the database was waited for in vain, by purpose";
    /// The version.
    build: Family<BuildLabels, Gauge> = "build_info", "1, with the version of the server";
    /// Processor time of the process.
    process_cpu: Counter<f64, AtomicU64> = "process_cpu_seconds", "Processor time of the server in seconds";
    /// Memory of the process.
    process_memory: Gauge = "process_resident_memory_bytes", "Memory that the server holds";
    /// Files and connections that the process has open.
    process_fds: Gauge = "process_open_fds", "Files and connections that the server has open";
    /// How many it may have.
    process_max_fds: Gauge = "process_max_fds", "Files and connections that the server may have open";
    /// When the process began.
    process_start: FloatGauge = "process_start_time_seconds", "When the server began, in seconds since 1970";
    /// Spans that the collector took.
    pub spans_exported: Counter = "spans_exported", "Spans of traces that were exported";
    /// Spans that were not exported.
    pub spans_dropped: Counter = "spans_dropped", "Spans of traces that were dropped: the collector did not take them";
    /// Typing events relayed, from clients and from SQL.
    pub typing: Counter = "typing_events", "Typing events relayed";
    /// Typing notifications dropped because too many came at once.
    pub typing_dropped: Counter = "typing_dropped", "Typing notifications dropped in a flood";
}

/// Handle to the metrics, cheap to clone and to keep: each connection has one.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Shared>);

struct Shared {
    meters: Meters,
    limit_log: LimitLog,
}

impl Deref for Metrics {
    type Target = Meters;

    fn deref(&self) -> &Meters {
        &self.0.meters
    }
}

impl Metrics {
    /// Registers every metric in a fresh registry.
    pub(crate) fn new() -> (Self, Registry) {
        let mut registry = Registry::with_prefix("rowcast");
        let metrics = Self(Arc::new(Shared {
            meters: Meters::register(&mut registry),
            limit_log: LimitLog::default(),
        }));
        metrics.show_at_zero();
        metrics.show_relay_at_zero();
        metrics.tell_build();
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

    /// A socket was put out of a room.
    pub(crate) fn rooms_left(&self, reason: &'static str) {
        self.rooms_left
            .get_or_create(&ReasonLabels { reason })
            .inc();
    }

    /// A join ended.
    pub(crate) fn joins(&self, outcome: Join) {
        self.joins.get_or_create(&JoinLabels { outcome }).inc();
    }

    /// Changed certificate files were read.
    pub(crate) fn tls_reloads(&self, outcome: TlsReload) {
        self.tls_reloads
            .get_or_create(&TlsReloadLabels { outcome })
            .inc();
    }

    /// How many sockets there are.
    pub(crate) fn sockets(&self, transport: Transport, count: i64) {
        self.sockets
            .get_or_create(&TransportLabels { transport })
            .set(count);
    }

    /// Whether a check of readiness passes.
    pub(crate) fn ready(&self, check: &'static str, passes: bool) {
        self.ready
            .get_or_create(&CheckLabels { check })
            .set(passes.into());
    }

    /// A request was answered.
    pub(crate) fn http(&self, route: &'static str, status: u16) {
        self.http.get_or_create(&HttpLabels { route, status }).inc();
    }
}

#[cfg(test)]
mod tests;
