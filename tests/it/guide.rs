//! docs/INTEGRATION.md, run: every block of it, every metric that it names, every test that it points to.
//!
//! The blocks are read out of the page itself, so what a reader copies is what ran. What they need beside Node and
//! Postgres comes from `scripts/setup guide`.

mod appendix;
mod auth;
mod backend;
mod clients;
mod front;
mod frontend;
mod monitoring;
mod next;
mod operate;
mod own_migration;
mod page;
mod presence;
mod production;
mod proxies;
pub(crate) mod tools;
mod types;
#[expect(
    unreachable_pub,
    reason = "it stands in the guide as a back end would have it"
)]
mod whatsapp;

pub(crate) use front::free_address;
pub(crate) use tools::program;
