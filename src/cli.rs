//! The commands besides `serve`.
//!
//! Each does one thing, says how it went in one line, and ends.

mod healthcheck;
mod migrate;

pub use healthcheck::healthcheck;
pub use migrate::migrate;
