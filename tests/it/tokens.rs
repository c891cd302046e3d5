//! Tokens from the outside: those that other implementations sign are taken, and no other; keys rotate while the server runs; a
//! connection lives no longer than its token; what a token's bearer had is nobody else's.

mod algorithms;
mod command;
mod expiry;
mod keys;
mod places;
mod refused;
mod sessions;

use serde_json::{Value, json};

use crate::harness::issuer::SECRET;
use crate::harness::{Client, Database, Server, Stock};

/// A server that asks for tokens signed with [`SECRET`], with these settings besides.
async fn server(database: &Database, variables: &[(&str, &str)]) -> Server {
    let jwt = [("ROWCAST_AUTH", "jwt"), ("ROWCAST_JWT_SECRET", SECRET)];
    Server::with(database, &[&jwt[..], variables].concat()).await
}

/// A client that shows this token with each connection, not waited for.
fn open(stock: &Stock, server: &Server, token: &str) -> Client {
    let options = json!({ "transports": ["websocket"], "auth": { "token": token } });
    stock.open(server.address(), &options, &[]).0
}

/// A client that is let in with this token.
async fn admitted(stock: &Stock, server: &Server, token: &str) -> Client {
    let mut client = open(stock, server, token);
    client.connected().await;
    client.event("rowcast:ready").await;
    client
}

/// What a client is told that is turned away with this token.
async fn turned_away(stock: &Stock, server: &Server, token: &str) -> Value {
    open(stock, server, token).refused().await
}
