//! The commands besides `serve`.
//!
//! Each does one thing, says how it went in one line, and ends.

mod find_database;
mod healthcheck;
mod migrate;

pub(crate) use find_database::find_database;
pub(crate) use healthcheck::healthcheck;
pub(crate) use migrate::migrate;
