//! Resume sessions: what lets a client that comes back go on where it was.
//!
//! - `resume`: decides whether a client that comes back can be given exactly what it missed
//! - `store`: what is stored of a connected client
//! - `owners`: which connection of this server has which resume session
//! - `expiry`: when the tokens of clients end
//! - `clients`: the connected clients; `keeper`: the task that looks after their resume sessions; `ended_rights`: the one that ends
//!   those of revoked rights
//!
//! The rows are `db::sessions`'s.

mod clients;
mod ended_rights;
mod expiry;
mod keeper;
mod owners;
pub(crate) mod resume;
pub(crate) mod store;

pub(super) use clients::Clients;
pub(crate) use ended_rights::EndedRightsKeeper;
pub(super) use expiry::cut_ended;
pub(crate) use keeper::SessionKeeper;

#[cfg(test)]
pub(crate) use owners::SessionOwners;
