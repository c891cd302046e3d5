//! The commands besides `serve`.
//!
//! Each command does one thing, prints how it went, and ends. `find_database` is shared with `serve`.

mod attach;
mod check;
mod detach;
mod doctor;
mod emit;
mod find_database;
mod grant;
mod healthcheck;
mod manual;
mod migrate;
mod sources;
mod tail;
mod token;
mod types;
mod wrong_usage;

pub(crate) use attach::attach;
pub(crate) use check::check;
pub(crate) use detach::detach;
pub(crate) use doctor::{doctor, doctor_unconfigured};
pub(crate) use emit::emit;
pub(crate) use find_database::find_database;
pub(crate) use grant::grant;
pub(crate) use healthcheck::healthcheck;
pub(crate) use manual::manual;
pub(crate) use migrate::migrate;
pub(crate) use sources::sources;
pub(crate) use tail::tail;
pub(crate) use token::token;
pub(crate) use types::types;
pub(crate) use wrong_usage::WrongUsage;
