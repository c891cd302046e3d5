//! Who connects, and into which rooms they may.
//!
//! The one place for each decision: [`Authenticator`] for a handshake, [`may_join`] for a room. Without authentication
//! everybody is [`Identity::Anonymous`] and may join every room; the origin is checked all the same, because a
//! browser sends cookies along with any page's WebSocket.

mod authenticator;
mod claims;
mod identity;
mod jwks_client;
mod key;
mod key_keeper;
mod key_source;
mod origin_policy;
mod presented;
mod ring_crypto;
mod signing;
mod verifier;

use crate::event::Room;
pub(crate) use authenticator::{Authenticator, ConnectError};
pub(crate) use identity::{Identity, Token};
pub(crate) use key_keeper::{verifier, verifier_now};
pub(crate) use origin_policy::OriginPolicy;
pub(crate) use signing::Signer;
pub(crate) use verifier::{TokenError, Verifier};

/// An identity may not listen to a room.
#[derive(Debug, thiserror::Error)]
#[error("not allowed")]
pub(crate) struct Denied;

/// Decides on a room: for joins, resumes and HTTP reads.
///
/// # Errors
/// The identity may not.
pub(crate) async fn may_join(identity: &Identity, _room: &Room) -> Result<(), Denied> {
    match identity {
        Identity::Anonymous | Identity::Bearer(_) => Ok(()),
    }
}
