//! Where the page is, what it may load, and who may connect from it.

use std::path::Path;

use serde_json::Value;

use super::{ON, refused};
use crate::embedded;
use crate::harness::http::{self, Response};
use crate::harness::wait::within;
use crate::harness::{Scene, Scratch, Server, Wire};

/// Checks the page, as this binary was built: with it, or with a word on how to build it.
fn assert_page(page: &Response) {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/dist/index.html");
    if !built.exists() {
        assert_eq!(page.status, 503, "{page:?}");
        assert!(page.body.contains("make demo"), "{page:?}");
        return;
    }
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.body, std::fs::read_to_string(built).expect("text"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let policy = page.header("content-security-policy");
    assert!(policy.is_some_and(|policy| policy.contains("'self'")));
}

#[tokio::test]
async fn the_page_and_every_file_that_it_names_are_there() {
    let scene = Scene::with(&[ON]).await;
    let page = scene.server.get("/").await;
    assert_page(&page);
    for reference in page.body.split('"').filter(|text| text.contains("assets/")) {
        let path = format!("/{}", reference.trim_start_matches(['.', '/']));
        let file = scene.server.get(&path).await;
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        let kept = file.header("cache-control").unwrap_or_default();
        assert!(kept.contains("immutable"), "{path}: {kept}");
    }
    refused(&scene.server.get("/assets/none.js").await, 404, "not_found");
}

#[tokio::test]
async fn the_embedded_postgres_comes_with_the_demo() {
    let folder = Scratch::folder();
    let server = embedded::launch(folder.path()).start().await;
    assert_page(&server.get("/").await);
    let about = server.get("/demo/about").await.json();
    assert_eq!(about["embedded"], true);
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    let printed = embedded::printed(&server, "psql 'postgres://").await;
    assert_eq!(about["psql"], *printed);
    assert_eq!(first_address(&server).await, dashboard(&server));
    let list = server.get("/api/rooms/inbox:all/messages").await.json();
    assert_eq!(list["key"], serde_json::json!(["id"]), "{list}");
    server.stop().await;

    let server = embedded::launch(folder.path()).arg("--rowcast-demo=off");
    let server = server.start().await;
    assert_eq!(
        first_address(&server).await,
        format!("http://{}", server.address())
    );
    let off = server.get("/").await;
    refused(&off, 404, "not_found");
    let message = off.json()["error"]["message"].to_string();
    assert!(message.contains("ROWCAST_DEMO=on"), "{message}");
}

#[tokio::test]
async fn the_dashboard_of_another_database_is_printed_too() {
    let scene = Scene::with(&[ON]).await;
    assert_eq!(first_address(&scene.server).await, dashboard(&scene.server));
    let about = scene.server.get("/demo/about").await.json();
    assert_eq!(about["embedded"], false);
    assert_eq!(about["psql"], Value::Null);
}

fn dashboard(server: &Server) -> String {
    format!("http://{}/", server.address())
}

/// The first address among what is printed for the person at the terminal.
async fn first_address(server: &Server) -> String {
    embedded::printed(server, "http://").await
}

#[tokio::test]
async fn a_page_of_this_server_may_connect() {
    for (demo, frontend) in [("on", "http://a.example"), ("off", "http://a.example")] {
        let variables = [("ROWCAST_DEMO", demo), ("FRONTEND_URL", frontend)];
        let scene = Scene::with(&variables).await;
        let address = scene.server.address();
        let own = format!("http://{address}");
        let (_, port) = address.rsplit_once(':').expect("a port");
        let strangers = [
            "http://127.0.0.1",
            &*format!("http://127.0.0.2:{port}"),
            &*format!("http://localhost:{port}"),
            "https://evil.example.com",
            "null",
        ];
        assert!(connects(address, &[("origin", &own)]).await);
        assert!(connects(address, &[("origin", frontend)]).await);
        let read = http::get(address, "/api/conversations/42/events", &[("origin", &own)]).await;
        assert_eq!(read.status, 200, "{read:?}");
        for origin in strangers {
            assert!(!connects(address, &[("origin", origin)]).await, "{origin}");
        }
        // A stranger's name that leads here.
        let host = format!("evil.example.com:{port}");
        let origin = format!("http://{host}");
        assert!(!connects(address, &[("origin", &origin), ("host", &host)]).await);
    }
}

#[tokio::test]
async fn a_page_of_this_server_may_poll() {
    for demo in ["on", "off"] {
        let scene = Scene::with(&[("ROWCAST_DEMO", demo)]).await;
        let address = scene.server.address();
        let own = format!("http://{address}");
        let headers = [("origin", &*own)];
        let path = "/socket.io/?EIO=4&transport=polling";
        let open = http::get(address, path, &headers).await.body;
        let open: Value = serde_json::from_str(&open[1..]).expect("an open packet");
        let path = format!("{path}&sid={}", open["sid"].as_str().expect("text"));
        http::request(address, "POST", &path, &headers, "40").await;
        // A ping may come before it, or alone.
        let found = within("an answer to CONNECT", async {
            loop {
                let answer = http::get(address, &path, &headers).await.body;
                if let Some(found) = answer.split('\u{1e}').find(|it| it.starts_with('4')) {
                    return found.to_owned();
                }
            }
        });
        let found = found.await;
        assert!(found.starts_with("40{"), "{demo}: {found}");
    }
}

/// Whether a Socket.IO client with these headers gets in by a websocket.
async fn connects(address: &str, headers: &[(&str, &str)]) -> bool {
    let mut wire = Wire::dial(address, headers).await.expect("a handshake");
    wire.send("40").await;
    let answer = wire.find("CONNECT or an error", |frame| {
        frame.starts_with("40") || frame.starts_with("44")
    });
    answer.await.starts_with("40")
}
