//! Resume sessions: what lets a client that comes back go on where it was.
//!
//! - `resume`: whether a client that comes back can be given exactly what it missed
//! - `store`: what is stored of a connected client
//! - `takeover`: who has which session here, and the end of connections whose session was taken over

pub(super) mod resume;
pub(super) mod store;
mod takeover;

pub(super) use takeover::Clients;
pub(crate) use takeover::SessionKeeper;
