//! Why a client's connection is closed: the code in the close frame (RFC 6455, section 7.4.1).

use crate::metrics::{Limit, Metrics};

/// The code in the close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// A frame that the protocol does not allow.
    ProtocolError = 1002,
    /// Binary data where none can be.
    Unsupported = 1003,
    /// Text that is not UTF-8.
    InvalidText = 1007,
    /// More of something than a client may send.
    Policy = 1008,
    /// A message above the limit.
    TooBig = 1009,
}

impl CloseCode {
    /// Counts the limit that was hit, if it was one.
    pub(super) fn count(self, metrics: &Metrics) {
        match self {
            Self::TooBig => metrics.limits(Limit::MessageSize),
            Self::Policy => metrics.limits(Limit::EventRate),
            Self::ProtocolError | Self::Unsupported | Self::InvalidText => {}
        }
    }
}
