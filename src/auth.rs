//! Who connects, and into which rooms they may.
//!
//! The one place for each decision: [`Authenticator`] for a handshake, [`RoomPolicy`] for a room. Without authentication
//! everybody is [`Identity::Anonymous`] and may join every room; the origin is checked all the same, because a
//! browser sends cookies along with any page's WebSocket. Before all that [`HostPolicy`] looks at each request's head.

mod authenticator;
mod claims;
#[cfg(test)]
mod fuzz;
mod host_policy;
mod identity;
mod jwks_client;
mod key;
mod key_keeper;
mod key_source;
mod origin_policy;
mod presented;
mod ring_crypto;
mod room_policy;
mod signing;
mod standing;
mod verifier;

pub(crate) use authenticator::{Authenticator, ConnectError};
pub(crate) use host_policy::{HostNames, HostPolicy, HostRefused, Unwelcome, was_forwarded};
pub(crate) use identity::{Identity, Token};
pub(crate) use key_keeper::{verifier, verifier_now};
pub(crate) use origin_policy::OriginPolicy;
pub(crate) use room_policy::RoomPolicy;
pub(crate) use signing::Signer;
pub(crate) use standing::{StandingWatch, check_not_expired, check_not_revoked};
pub(crate) use verifier::{TokenError, Verifier};
