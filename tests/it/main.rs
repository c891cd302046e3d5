//! Rowcast from the outside: the real binary, a real Postgres, the official client.
//!
//! One binary for the whole suite, so that it links once. Each test has a database of its own and all run in parallel.
//! Each is a sentence about what a user, a client or an operator can rely on.

mod harness;

mod capture;
mod crash;
mod delivery;
mod embedded;
mod faults;
mod hostile;
mod http;
mod hunt;
mod join;
mod limits;
mod logs;
mod offsets;
mod order;
mod payload;
mod retention;
mod slow;
mod soak;
mod start;
mod status;
mod stop;
mod typing;
mod wake;
mod writers;
