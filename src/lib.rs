//! Rowcast turns rows in Postgres into Socket.IO room events, with nothing lost in between.
//!
//! ```text
//!  a back end's transaction                rowcast serve                              browsers
//!  insert/update a row      NOTIFY    listener --wake--> reader --batch--> broadcast ----> sockets
//!    `- capture trigger  ----------->               (SQL) |                  |             of the
//!        `- rowcast.events <------------------------------'               gateway <----->  room
//! ```
//!
//! The table tells, the notification only wakes, the poll is the guarantee.
//!
//! - [`event`], [`offset`]: the types, no I/O
//! - [`outbox`]: every SQL statement
//! - [`listener`], [`reader`], [`retention`], [`probe`]: the loops on the database's side
//! - [`gateway`]: Socket.IO; `wire`: the connections under it
//! - [`arrivals`]: the word from the broadcast to HTTP that a room has an event
//! - [`auth`]: who connects, and into which rooms they may
//! - [`http`], [`server`]: routes, and the listening socket
//! - [`embedded`]: a Postgres of our own
//! - [`app`]: puts it together, supervises it, stops it in order
//! - [`config`], [`telemetry`], [`metrics`], [`backoff`], [`shutdown`], [`cli`]

pub mod app;
pub mod arrivals;
pub mod auth;
pub mod backoff;
pub mod cli;
pub mod config;
pub mod embedded;
pub mod event;
pub mod gateway;
pub mod http;
pub mod listener;
pub mod metrics;
pub mod offset;
pub mod outbox;
pub mod probe;
pub mod reader;
pub mod retention;
pub mod server;
pub mod shutdown;
pub mod telemetry;
mod wire;
