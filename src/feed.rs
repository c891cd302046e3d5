//! The loops on the database's side: what was committed is found, and handed to delivery in order.
//!
//! - `listener`: hears notifications, and wakes the reader
//! - `reader`: decides when to read; pulls what an [`EventFeed`](event_feed::EventFeed) yields; `hand_over` gives it to delivery
//! - `relay`: stands between the reader and the outbox where one server reads for many
//! - `crash_guard`: what a crash of Postgres can undo of what was delivered
//! - `source_watch`: what is wrong with the attached tables; `presence_keeper`: who is in which room, here and at other servers
//! - `inbox`: brings the chat tables' list of conversations up to date where commits could not
//! - `retention`: prunes; `probe`: sends what the listener must hear, and takes the outbox's figures; `self_check`: finds out what
//!   a server can't do before a client does
//!
//! A notification only wakes, the poll is the guarantee: without the listener everything is delivered, later.

mod crash_guard;
mod event_feed;
mod hand_over;
mod inbox;
mod listener;
mod outage;
mod presence_keeper;
mod probe;
mod reader;
mod relay;
mod retention;
mod self_check;
mod source_watch;

#[cfg(test)]
mod fakes;
#[cfg(test)]
pub(crate) use hand_over::{HandOver, ReadUnderWay};
pub(crate) use inbox::run as run_inbox;
pub(crate) use listener::Listener;
pub(crate) use presence_keeper::PresenceKeeper;
pub(crate) use probe::{Probe, Probes};
pub(crate) use reader::Reader;
pub(crate) use relay::{LinkEnds, Relay, RelayTrial, try_relay};
pub(crate) use retention::run as run_retention;
pub(crate) use self_check::run as run_self_check;
pub(crate) use source_watch::SourceWatch;
