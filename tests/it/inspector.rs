//! The inspector on the admin listener: what it shows is what there is, to whom it may be shown, and nothing secret.

mod access;
mod actions;
mod answers;
mod crowd;
mod page;

use serde_json::{Value, json};

use crate::harness::http::{self, Response};
use crate::harness::token::{JWT, token};
use crate::harness::wait::until;
use crate::harness::{Client, Database, Server, Stock};

/// What whoever calls the admin listener has to know.
const TOKEN: &str = "an admin token of the tests, 32 bytes or more";
/// What the page sends with what changes something.
const MARK: (&str, &str) = ("x-rowcast-inspector", "1");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A server that asks its clients for tokens, and its clients. Fields end in this order.
struct Stage {
    server: Server,
    stock: Stock,
    database: Database,
}

impl Stage {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let database = Database::chat().await;
        Self {
            server: Server::with(&database, &[&JWT[..], variables].concat()).await,
            stock: Stock::start(),
            database,
        }
    }

    /// A client of this subject, which is in these conversations.
    async fn client(&self, subject: &str, contacts: &[&str]) -> Client {
        let token = token(subject, &json!({ "iss": "desk", "conversations": "*" }));
        let options = json!({ "transports": ["websocket"], "auth": { "token": token } });
        let (mut client, _) = self.stock.open(self.server.address(), &options, &[]);
        client.connected().await;
        for contact in contacts {
            client.join(contact).await;
        }
        client
    }

    /// `GET /api/<path>`, which is answered.
    async fn get(&self, path: &str) -> Value {
        let answer = ask(&self.server, path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// The same until it is as `is_so` says.
    async fn get_until(&self, what: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let answer = self.get(path).await;
            is_so(&answer).then_some(answer)
        })
        .await
    }

    /// The only client of that subject, as the list has it.
    async fn socket_of(&self, subject: &str) -> Value {
        let path = format!("sockets?search={subject}");
        let found = self
            .get_until(subject, &path, |answer| answer["found"] == 1)
            .await;
        found["sockets"][0].clone()
    }
}

async fn ask(server: &Server, path: &str) -> Response {
    http::get(server.admin(), &format!("/api/{path}"), &[]).await
}

/// `POST /api/<path>`, as the page does it.
async fn post(server: &Server, path: &str, body: &Value) -> Response {
    post_with(server, path, &[JSON, MARK], &body.to_string()).await
}

async fn post_with(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let path = format!("/api/{path}");
    http::request(server.admin(), "POST", &path, headers, body).await
}

/// Checks for an error of this status, and returns its message.
fn refused(answer: &Response, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let message = answer.json()["error"]["message"].clone();
    message.as_str().expect("a message").to_owned()
}
