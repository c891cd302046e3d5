//! The labels of the metrics, and the values that each may have.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// A label whose values are all known.
pub(super) trait Values: Sized + 'static {
    /// Each of them.
    const ALL: &'static [Self];
}

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

        impl Values for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];
        }

        #[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
        pub(super) struct $set { pub(super) $label: $name }
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
    /// What became of changed certificate files.
    TlsReload {
        /// They are served.
        Changed = "changed",
        /// They can't be used, and those of before are served on.
        Failed = "failed",
    } as outcome in TlsReloadLabels
}
label! {
    /// What became of a message of the relay.
    RelayOutcome {
        /// The leader told a batch of events.
        Told = "told",
        /// The leader told that there are events, and none of them: too many for a message.
        Announced = "announced",
        /// The engine did not take it.
        Untold = "untold",
        /// It was applied.
        Applied = "applied",
        /// The server knew it already.
        Known = "known",
        /// It did not follow on what the server has, which read the outbox instead.
        Gap = "gap",
        /// Of a server whose settings, or whose knowledge of crashes, differ.
        Foreign = "foreign",
        /// Of nobody who knows the database's secret, or of another version.
        Refused = "refused",
    } as outcome in RelayLabels
}
label! {
    /// What a server is on the relay.
    RelayRole {
        /// It reads by itself.
        Alone = "alone",
        /// It is told by the leader.
        Edge = "edge",
        /// It reads, and tells the others.
        Leader = "leader",
    } as role in RelayRoleLabels
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
pub(super) struct ReasonLabels {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CheckLabels {
    pub(super) check: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct HttpLabels {
    pub(super) route: &'static str,
    pub(super) status: u16,
}
