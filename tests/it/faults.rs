//! What breaks under a running server, and that nothing is lost by it.
//!
//! In each case writers write all the time and clients of every kind listen; in the end what each of them got is
//! compared with the tables, row by row.

mod backends;
mod clock;
mod database;
mod exhaustion;
mod network;
mod pids;
mod process;
mod readers;
mod reload;
mod replay;
mod servers;
mod strangers;
mod transactions;
mod verdict;
