//! Who connects, and into which rooms they may.
//!
//! The one place for each decision: [`authenticate`] for a handshake, [`may_join`] for a room. Without authentication
//! everybody is [`Identity::Anonymous`] and may join every room; the origin is checked all the same, because a
//! browser sends cookies along with any page's WebSocket. Before all that [`HostPolicy`] looks at each request's head.

use axum::http::request::Parts;

mod host_policy;
mod origin_policy;

use crate::event::Room;
use crate::quota::Holder;
pub(crate) use host_policy::{HostNames, HostPolicy, HostRefused, Unwelcome};
pub(crate) use origin_policy::OriginPolicy;

/// What a handshake proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Nothing: anyone.
    Anonymous,
}

impl Identity {
    /// How a resume session names the identity: only the same one may resume it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
        }
    }

    /// For whom limits count what it asks for; `None` is nobody but its address.
    pub(crate) fn holder(&self) -> Option<Holder> {
        match self {
            Self::Anonymous => None,
        }
    }
}

/// Why a connection is refused: the `connect_error` message that the client sees.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// A browser's page of another site.
    #[error("origin_not_allowed")]
    OriginNotAllowed,
    /// A browser that was told a name which is none of the server's.
    #[error("host_not_allowed")]
    HostNotAllowed,
}

/// An identity may not listen to a room.
#[derive(Debug, thiserror::Error)]
#[error("not allowed")]
pub(crate) struct Denied;

/// Decides on a handshake.
///
/// # Errors
/// Why the connection is refused.
pub(crate) fn authenticate(
    handshake: &Parts,
    origin_policy: &OriginPolicy,
) -> Result<Identity, ConnectError> {
    if handshake.extensions.get::<HostRefused>().is_some() {
        return Err(ConnectError::HostNotAllowed);
    }
    if origin_policy.may_connect(&handshake.headers) {
        Ok(Identity::Anonymous)
    } else {
        Err(ConnectError::OriginNotAllowed)
    }
}

/// Decides on a room: for joins, resumes and HTTP reads.
///
/// # Errors
/// The identity may not.
pub(crate) async fn may_join(identity: &Identity, _room: &Room) -> Result<(), Denied> {
    match identity {
        Identity::Anonymous => Ok(()),
    }
}
