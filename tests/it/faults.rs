//! What breaks under a running server, and that nothing is lost by it.
//!
//! In each case writers write all the time and clients of every kind listen; in the end what each of them got is
//! compared with the tables, row by row.

mod backends;
mod database;
mod network;
mod process;
mod servers;
