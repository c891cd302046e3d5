//! What the tests stand on: real parts, started for them and gone with them.
//!
//! Owns every process, database and wait of the suite. The server is the real binary, the client the official one from
//! npm, Postgres is Postgres; `raw` and `http` are for what those would never do.

pub(crate) mod api;
pub(crate) mod back_end;
pub(crate) mod bare;
pub(crate) mod browser;
pub(crate) mod caller;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod collector;
mod company;
pub(crate) mod crowd;
pub(crate) mod database;
pub(crate) mod dump;
pub(crate) mod http;
pub(crate) mod issuer;
pub(crate) mod key_server;
pub(crate) mod launch;
pub(crate) mod ledger;
pub(crate) mod line;
pub(crate) mod nats;
pub(crate) mod page;
pub(crate) mod pooler;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod scratch;
pub(crate) mod server;
pub(crate) mod setting;
pub(crate) mod stock;
pub(crate) mod tally;
pub(crate) mod template;
pub(crate) mod tls;
pub(crate) mod token;
pub(crate) mod trial;
pub(crate) mod wait;
pub(crate) mod witness;
pub(crate) mod writers;

pub(crate) use back_end::BackEnd;
pub(crate) use browser::{Browser, Look};
pub(crate) use caller::Caller;
pub(crate) use client::{Client, Event};
pub(crate) use database::{Database, say};
pub(crate) use launch::Launch;
pub(crate) use line::Kind;
pub(crate) use page::Page;
pub(crate) use pooler::Pooler;
pub(crate) use postgres::Postgres;
pub(crate) use proxy::Proxy;
pub(crate) use raw::{Polling, Wire};
pub(crate) use scratch::Scratch;
pub(crate) use server::Server;
pub(crate) use stock::Stock;
pub(crate) use tls::Authority;
pub(crate) use trial::Trial;

/// The usual scene: a database, a server on it, and Node for the clients. Fields end in this order.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) stock: Stock,
    pub(crate) database: Database,
}

impl Scene {
    /// With every default.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these variables set for the server.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let database = Database::chat().await;
        Self {
            server: Server::with(&database, variables).await,
            stock: Stock::start(),
            database,
        }
    }

    /// A client that has joined a conversation.
    pub(crate) async fn joined(&self, contact: &str) -> Client {
        self.stock.joined(&self.server, contact).await
    }

    /// The next event that the client sees in a conversation is one that is written now.
    pub(crate) async fn assert_nothing_more(&self, contact: &str, client: &mut Client) {
        let fence = format!("select rowcast.emit('conversation:{contact}', 'fence', '{{}}')");
        self.database.run(&fence).await;
        let event = client.next().await;
        assert_eq!(
            event.name, "fence",
            "nothing was to come before it: {event:?}"
        );
    }
}
