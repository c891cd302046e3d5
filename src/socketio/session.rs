//! Resume sessions: what lets a client that comes back go on where it was.
//!
//! - `resume`: whether a client that comes back can be given exactly what it missed
//! - `store`: what is stored of a connected client
//! - `owners`: which connection has which session; `takeover`: the connected clients, and what keeps their sessions

mod owners;
pub(crate) mod resume;
pub(crate) mod store;
mod takeover;

pub(super) use takeover::Clients;
pub(crate) use takeover::SessionKeeper;

#[cfg(test)]
pub(crate) use owners::SessionOwners;
