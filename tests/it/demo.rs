//! The demo: the page and the endpoints that it lives by, there when they should be and nowhere else.

mod bot;
mod page;
mod writes;

use serde_json::{Value, json};

use crate::harness::api::encoded;
use crate::harness::http::{self, Response, request};
use crate::harness::{Database, Scene, Server};

const ON: (&str, &str) = ("ROWCAST_DEMO", "on");
const JSON: (&str, &str) = ("content-type", "application/json");
const THEIRS: (&str, &str) = ("origin", "https://evil.example.com");
/// Every endpoint that takes a body, with a body that it takes.
const POSTS: [(&str, &str); 3] = [
    ("messages", r#"{"body":"hi"}"#),
    ("read", "{}"),
    ("bot", "{}"),
];

/// `POST /demo/conversations/<contact>/<what>`, as the page does it.
async fn post(server: &Server, contact: &str, what: &str, body: &Value) -> Response {
    post_with(server, contact, what, &[JSON], &body.to_string()).await
}

async fn post_with(
    server: &Server,
    contact: &str,
    what: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let path = format!("/demo/conversations/{}/{what}", encoded(contact));
    request(server.address(), "POST", &path, headers, body).await
}

/// Checks for an error of this status and code, and returns its message.
fn refused(answer: &Response, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{answer:?}");
    error["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn without_the_demo_there_is_nothing() {
    let scene = Scene::new().await;
    for path in ["/", "/assets/x.js", "/demo/about"] {
        refused(&scene.server.get(path).await, 404, "not_found");
    }
    for (what, body) in POSTS {
        let answer = post_with(&scene.server, "42", what, &[JSON], body).await;
        refused(&answer, 404, "not_found");
    }
    let written = scene.database.value("select count(*) from messages").await;
    assert_eq!(written, "0");
}

#[tokio::test]
async fn without_the_chat_tables_the_remedy_is_told() {
    let database = Database::empty().await;
    let server = Server::with(&database, &[ON]).await;
    let mut answers = Vec::new();
    for (what, body) in POSTS {
        answers.push(post_with(&server, "42", what, &[JSON], body).await);
    }
    for answer in &answers {
        let message = refused(answer, 503, "unavailable");
        assert!(message.contains("rowcast migrate --chat"), "{message}");
    }
    assert_eq!(server.get("/demo/about").await.status, 200);
}

#[tokio::test]
async fn the_limit_of_requests_holds_for_the_demo() {
    let scene = Scene::with(&[ON, ("ROWCAST_MAX_HTTP_RATE", "1")]).await;
    let answers = futures_util::future::join_all((0..8).map(async |number| match number % 4 {
        0 | 1 => scene.server.get("/demo/about").await,
        2 => scene.server.ask("42", "messages", &[]).await,
        _ => post(&scene.server, "42", "read", &json!({})).await,
    }))
    .await;
    let many = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(many > 4, "one limit for all of it: {answers:?}");
    let told = answers.iter().find(|answer| answer.status == 429);
    refused(told.expect("some"), 429, "too_many_requests");
    // The page and its files are no requests of the API.
    for _ in 0..8 {
        assert_ne!(scene.server.get("/").await.status, 429);
        assert_eq!(scene.server.get("/assets/none.js").await.status, 404);
    }
}

#[tokio::test]
async fn every_route_of_the_demo_is_counted_under_its_own_name() {
    let scene = Scene::with(&[ON]).await;
    scene.server.get("/").await;
    for name in ["a", "b", "c"] {
        scene.server.get(&format!("/assets/{name}.js")).await;
        post(&scene.server, name, "read", &json!({})).await;
        post(&scene.server, name, "messages", &json!({})).await;
        post(&scene.server, name, "bot", &json!([1])).await;
    }
    scene.server.get("/demo/about").await;
    for (route, count) in [
        ("/", 1.0),
        ("/assets/{*path}", 3.0),
        ("/demo/about", 1.0),
        ("/demo/conversations/{contactId}/read", 3.0),
        ("/demo/conversations/{contactId}/messages", 3.0),
        ("/demo/conversations/{contactId}/bot", 3.0),
    ] {
        let label = format!("route=\"{route}\"");
        let name = "rowcast_http_requests_total";
        assert_eq!(scene.server.metric(name, &[&label]).await, count, "{route}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told() {
    let scene = Scene::with(&[ON]).await;
    let address = scene.server.address();
    for (method, path) in [
        ("POST", "/"),
        ("GET", "/demo/conversations/42/bot"),
        ("GET", "/demo/conversations/42/messages"),
        ("PUT", "/demo/conversations/42/read"),
    ] {
        let answer = request(address, method, path, &[], "").await;
        refused(&answer, 405, "bad_request");
    }
    let page = http::get(address, "/demo", &[]).await;
    refused(&page, 404, "not_found");
}
