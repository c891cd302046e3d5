//! Turns rows in Postgres into Socket.IO room events.

pub mod backoff;
pub mod config;
pub mod telemetry;
