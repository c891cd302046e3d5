//! docs/auth.md, run: every block of it, and what its tables say of settings and refusals.

mod clients;
mod ends;
mod next;
mod providers;
mod sign;
#[expect(
    unreachable_pub,
    reason = "it stands in the page as a back end would have it"
)]
mod signing;
mod trouble;

use serde_json::json;

use super::page::AUTH;
use crate::harness::token::{JWT, SECRET};
use crate::harness::{Client, Scene, Server, Stock};

fn blocks(heading: &str, language: &str) -> Vec<String> {
    AUTH.blocks(heading, language)
}

fn block(heading: &str, language: &str) -> String {
    AUTH.block(heading, language)
}

/// A server that asks for tokens, which are signed with [`SECRET`].
async fn guarded(more: &[(&str, &str)]) -> Scene {
    let all: Vec<_> = JWT.into_iter().chain(more.iter().copied()).collect();
    Scene::with(&all).await
}

/// A client with this token, let in or not.
fn bearer(stock: &Stock, server: &Server, token: &str) -> Client {
    let options = json!({ "transports": ["websocket"], "auth": { "token": token } });
    stock.open(server.address(), &options, &[]).0
}

/// What joins of these conversations are answered with this token: `ok`, or a code.
async fn joins(stock: &Stock, server: &Server, token: &str, contacts: &[&str]) -> Vec<String> {
    let mut client = bearer(stock, server, token);
    client.connected().await;
    let mut answers = Vec::new();
    for contact in contacts {
        let answer = client.ask("join:conversation", json!([contact])).await;
        let code = answer["error"]["code"].as_str().unwrap_or("ok");
        answers.push(code.to_owned());
    }
    answers
}

/// A token of the page is of user-7, and opens conversation 42 alone, for a quarter of an hour.
async fn proves(scene: &Scene, token: &str) {
    let token = token.trim();
    let joined = joins(&scene.stock, &scene.server, token, &["42", "43"]).await;
    assert_eq!(joined, ["ok", "forbidden"]);
    let said = crate::harness::Launch::command(["token", "--json"])
        .env("ROWCAST_AUTH", "jwt")
        .env("ROWCAST_JWT_SECRET", SECRET)
        .arg(&format!("--check={token}"))
        .succeed()
        .await;
    let said: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(said["sub"], "user-7");
    let life = said["exp"].as_i64().expect("exp") - said["iat"].as_i64().expect("iat");
    assert_eq!(life, 15 * 60);
}
