//! Who connects, and into which rooms they may.
//!
//! The one place for each decision: [`authenticate`] for a handshake, [`may_join`] for a room. Without authentication
//! everybody is [`Identity::Anonymous`] and may join every room; the origin is checked all the same, because a
//! browser sends cookies along with any page's WebSocket.

use axum::http::request::Parts;

mod pages;

use crate::event::Room;
pub use pages::Pages;

/// What a handshake proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nothing: anyone.
    Anonymous,
}

impl Identity {
    /// What a session is kept under: only the same identity may resume it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
        }
    }
}

/// Why a connection is refused: the `connect_error` message that the client sees.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A browser's page of another site.
    #[error("origin_not_allowed")]
    OriginNotAllowed,
}

/// An identity may not listen to a room.
#[derive(Debug, thiserror::Error)]
#[error("not allowed")]
pub struct Denied;

/// Decides on a handshake.
///
/// # Errors
/// Why the connection is refused.
pub fn authenticate(handshake: &Parts, pages: &Pages) -> Result<Identity, ConnectError> {
    if pages.may_connect(&handshake.headers) {
        Ok(Identity::Anonymous)
    } else {
        Err(ConnectError::OriginNotAllowed)
    }
}

/// Decides on a room: for joins, resumes and HTTP reads.
///
/// # Errors
/// The identity may not.
pub async fn may_join(identity: &Identity, _room: &Room) -> Result<(), Denied> {
    match identity {
        Identity::Anonymous => Ok(()),
    }
}
