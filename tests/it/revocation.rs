//! The end of a right: on every server, for whoever is connected, comes back, joins, replays or reads, and however the server was away.

mod ends;
mod long_polls;
mod pace;
mod races;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::token::{JWT, token};
use crate::harness::{Client, Scene, Server, Stock};

/// Everybody may join every room, as far as the token says.
fn everything() -> Value {
    json!({ "conversations": "*" })
}

async fn guarded() -> Scene {
    Scene::with(&JWT).await
}

/// A token of `subject` that is issued after every revocation of the test.
fn later_token(subject: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let later = now.expect("after 1970").as_secs() + 20;
    token(subject, &json!({ "conversations": "*", "iat": later }))
}

fn options(token: &str) -> Value {
    json!({ "transports": ["websocket"], "auth": { "token": token } })
}

/// A connected client with this token.
async fn admitted(stock: &Stock, server: &Server, token: &str) -> Client {
    let mut client = stock.open(server.address(), &options(token), &[]).0;
    client.connected().await;
    client.event("rowcast:ready").await;
    client
}

/// A client of `subject` that has joined a conversation.
async fn joined(scene: &Scene, server: &Server, subject: &str, contact: &str) -> Client {
    let client = admitted(&scene.stock, server, &token(subject, &everything())).await;
    let answer = client
        .ask("join:conversation", serde_json::json!([contact]))
        .await;
    assert_eq!(answer["ok"], true, "{:?}", server.lines());
    client
}

/// What a client with this token is told that may not connect.
async fn turned_away(stock: &Stock, server: &Server, token: &str) -> Value {
    let mut client = stock.open(server.address(), &options(token), &[]).0;
    client.refused().await["message"].clone()
}

/// The status of a read of a conversation with this token.
async fn status(server: &Server, contact: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    server.ask(contact, "messages", &headers).await.status
}
