//! The commands besides `serve`.
//!
//! Each command does one thing, prints how it went, and ends. `find_database` is shared with `serve`.

mod check;
mod doctor;
mod find_database;
mod grant;
mod healthcheck;
mod migrate;
mod sources;
mod token;

pub(crate) use check::check;
pub(crate) use doctor::doctor;
pub(crate) use find_database::find_database;
pub(crate) use grant::grant;
pub(crate) use healthcheck::healthcheck;
pub(crate) use migrate::migrate;
pub(crate) use sources::sources;
pub(crate) use token::token;
