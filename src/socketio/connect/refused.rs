//! Why a connection is turned away.

use crate::auth::ConnectError;

/// Why a connection is turned away: the `connect_error` message that the client sees.
#[derive(Debug, thiserror::Error)]
pub(in crate::socketio) enum Refused {
    #[error(transparent)]
    Auth(#[from] ConnectError),
    /// The database was away for longer than the handshake may take.
    #[error("unavailable")]
    Unavailable,
    /// It connects anew again and again.
    #[error("too_many_connections")]
    TooManyConnects,
    /// More than what the members that we know could need.
    #[error("auth_too_large")]
    AuthTooLarge,
}

impl Refused {
    /// What the client is told beside the message, as JSON.
    pub(super) fn data(&self) -> &'static str {
        match self {
            Self::Auth(error) => error.data(),
            // The same attempt may go well a moment later.
            Self::Unavailable | Self::TooManyConnects => ConnectError::Unavailable.data(),
            Self::AuthTooLarge => r#"{"retryable":false,"refresh":false}"#,
        }
    }
}
