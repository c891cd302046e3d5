//! The commands besides `serve`.
//!
//! Each command does one thing, prints one line that says how it went, and ends. `find_database` is shared with `serve`.

mod find_database;
mod healthcheck;
mod migrate;

pub(crate) use find_database::find_database;
pub(crate) use healthcheck::healthcheck;
pub(crate) use migrate::migrate;
