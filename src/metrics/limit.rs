//! The limits that clients can hit: each with its label, and with a line of the log that names the variable.

use std::net::IpAddr;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use super::Metrics;
use crate::quota::Sampled;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $variable:literal, $hit:literal;)+) => {
        /// A limit that was hit.
        #[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
        pub(crate) enum Limit { $($(#[$doc])* $name),+ }

        impl Limit {
            const ALL: &[Self] = &[$(Self::$name),+];

            fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// The setting that moves it; none where it is fixed.
            fn variable(self) -> &'static str {
                match self { $(Self::$name => $variable),+ }
            }

            fn hit(self) -> &'static str {
                match self { $(Self::$name => $hit),+ }
            }
        }
    };
}

limits! {
    /// Connections, or engine sessions, in all.
    Connections = "connections", "ROWCAST_MAX_CONNECTIONS", "there are as many connections as there may be";
    /// The same of one address.
    AddressConnections = "address_connections", "ROWCAST_MAX_CONNECTIONS_PER_ADDRESS",
        "an address has as many connections as it may";
    /// Engine sessions that one address opens a second.
    HandshakeRate = "handshake_rate", "ROWCAST_MAX_HANDSHAKE_RATE", "an address opens too many Socket.IO sessions a second";
    /// CONNECT packets of one engine session.
    ConnectRate = "connect_rate", "", "a client connects anew too often, and was disconnected";
    /// Requests at `/socket.io` of one address a second.
    SocketioRate = "socketio_rate", "ROWCAST_MAX_SOCKETIO_RATE", "an address sends too many requests to /socket.io a second";
    /// Rooms of one socket.
    Rooms = "rooms", "ROWCAST_MAX_ROOMS", "a socket is in as many rooms as it may be";
    /// Events a second of one socket.
    EventRate = "event_rate", "ROWCAST_MAX_EVENT_RATE", "a socket sends too many events a second";
    /// Tokens that one socket goes on with.
    RefreshRate = "refresh_rate", "", "a socket sends auth:refresh too often";
    /// Bytes of one message.
    MessageSize = "message_size", "ROWCAST_MAX_MESSAGE_SIZE", "a client's message is too large";
    /// Bytes of what a client says of itself with CONNECT.
    AuthSize = "auth_size", "", "a client's auth in CONNECT is larger than 16 KB";
    /// Time from the accepted connection to the Socket.IO CONNECT.
    HandshakeTime = "handshake_time", "ROWCAST_HANDSHAKE_TIMEOUT", "a connection did not become a Socket.IO client in time";
    /// Events of one socket that wait to be handled.
    Inbox = "inbox", "", "a socket sends faster than its events can be handled";
    /// API requests a second of one address, or of one identity.
    HttpRate = "http_rate", "ROWCAST_MAX_HTTP_RATE", "an address or an identity sends too many API requests a second";
    /// Long-polls that wait, of one address or of one identity.
    LongPolls = "long_polls", "ROWCAST_MAX_LONG_POLLS", "an address or an identity has as many long-polls as it may";
    /// Long-polls that wait in all.
    AllLongPolls = "all_long_polls", "", "there are as many long-polls as there may be";
    /// Bytes of answers that one identity, or one address, does not read.
    UnreadAnswers = "unread_answers", "", "an identity or an address does not read the answers that it asks for";
    /// Bytes of answers that nobody reads.
    AllUnreadAnswers = "all_unread_answers", "", "as many answers wait to be read as may";
    /// Bytes of resume sessions that one identity, or one address, has left.
    SessionsSize = "sessions_size", "ROWCAST_MAX_SESSIONS_SIZE", "an identity or an address has left as many resume sessions as are kept, and the oldest were removed";
    /// Bytes of resume sessions that one identity, or one address, writes a second.
    SessionRate = "session_rate", "", "an identity or an address joins and leaves rooms of long names without end, and is refused joins";
    /// Packets a second by which members of rooms are told who types, of one identity or one address.
    TypingRate = "typing_rate", "", "an identity or an address says in large rooms, again and again, that it types";
    /// Time in which a client has to read an answer.
    AnswerTime = "answer_time", "ROWCAST_ANSWER_TIMEOUT", "a client did not read an answer in time, and was disconnected";
    /// What one identity, or one address, reads of what is past.
    ReadRate = "read_rate", "ROWCAST_MAX_READ_RATE", "an identity or an address reads too much of what is past";
}

impl EncodeLabelValue for Limit {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        self.label().encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct LimitLabels {
    pub(super) limit: Limit,
}

impl Metrics {
    /// A limit was hit. It is logged now and then, with the variable that moves it.
    pub(crate) fn limits(&self, limit: Limit) {
        self.limit_hit(limit, None);
    }

    /// A limit was hit by somebody at this address.
    pub(crate) fn limits_by(&self, limit: Limit, address: IpAddr) {
        self.limit_hit(limit, Some(address));
    }

    fn limit_hit(&self, limit: Limit, by: Option<IpAddr>) {
        self.limits.get_or_create(&LimitLabels { limit }).inc();
        self.0.limit_log.hit(limit, by);
    }
}

/// The lines of the log, one for each limit.
pub(super) struct LimitLog(Vec<Sampled>);

impl Default for LimitLog {
    fn default() -> Self {
        Self(Limit::ALL.iter().map(|_| Sampled::default()).collect())
    }
}

impl LimitLog {
    /// Says that a limit was hit, now and then; `by` is the address that hit it, where that is known.
    pub(super) fn hit(&self, limit: Limit, by: Option<IpAddr>) {
        let line = self.0.get(limit as usize);
        let Some(count) = line.and_then(Sampled::due) else {
            return;
        };
        let (hit, label, variable) = (limit.hit(), limit.label(), limit.variable());
        let by = by.map(tracing::field::display);
        if variable.is_empty() {
            tracing::warn!(limit = label, count, address = by, "{hit}");
        } else {
            tracing::warn!(limit = label, count, address = by, "{hit} ({variable})");
        }
    }
}
