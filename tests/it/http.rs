//! The HTTP side: who may call from a browser, health, metrics.

use serde_json::json;

use crate::harness::http::{self, request};
use crate::harness::{Database, Launch, Scene, Server, Wire};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";
const OURS: &str = "https://app.example.com";
const SECOND: &str = "http://localhost:5173";
const THEIRS: &str = "https://evil.example.com";

fn frontends() -> [(&'static str, &'static str); 1] {
    [(
        "FRONTEND_URL",
        "https://app.example.com, http://localhost:5173",
    )]
}

#[tokio::test]
async fn a_websocket_of_a_strange_origin_is_refused() {
    let scene = Scene::with(&frontends()).await;
    for origin in [OURS, SECOND] {
        assert!(
            connect(&scene, &[("origin", origin)]).await.is_ok(),
            "{origin}"
        );
    }
    for origin in [
        THEIRS,
        "null",
        "https://app.example.com.evil.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
    ] {
        let refused = connect(&scene, &[("origin", origin)]).await;
        let refused = refused.expect_err(origin);
        assert!(
            refused.contains("origin_not_allowed"),
            "{origin}: {refused}"
        );
    }
    // No browser, no origin.
    assert!(connect(&scene, &[]).await.is_ok());
    scene
        .server
        .counted("rowcast_connects_total", &["efused"], 5.0)
        .await;
}

/// Connects by hand, or returns the packet that refused it.
async fn connect(scene: &Scene, headers: &[(&str, &str)]) -> Result<(), String> {
    let mut wire = Wire::dial(scene.server.address(), headers)
        .await
        .expect("a handshake");
    wire.send("40").await;
    let answer = wire
        .find("CONNECT or an error", |frame| {
            frame.starts_with("40") || frame.starts_with("44")
        })
        .await;
    if answer.starts_with("40") {
        Ok(())
    } else {
        Err(answer)
    }
}

#[tokio::test]
async fn polling_answers_its_own_origins_only() {
    let scene = Scene::with(&frontends()).await;
    for origin in [OURS, SECOND] {
        let answer = http::get(scene.server.address(), OPEN, &[("origin", origin)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(origin),
            "{answer:?}"
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true"),
            "{answer:?}"
        );
        assert!(
            answer
                .header("vary")
                .is_some_and(|vary| vary.to_lowercase().contains("origin")),
            "{answer:?}"
        );
    }
    // A browser keeps an answer without that header from the page.
    let answer = http::get(scene.server.address(), OPEN, &[("origin", THEIRS)]).await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        None,
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_preflight_is_answered() {
    let scene = Scene::with(&frontends()).await;
    let ask = [
        ("origin", OURS),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,authorization",
        ),
    ];
    let answer = request(scene.server.address(), "OPTIONS", OPEN, &ask, "").await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(OURS),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true"),
        "{answer:?}"
    );
    let methods = answer
        .header("access-control-allow-methods")
        .unwrap_or_default();
    assert!(methods.contains("POST"), "{answer:?}");
}

#[tokio::test]
async fn any_origin_means_no_credentials() {
    let scene = Scene::with(&[("FRONTEND_URL", "*")]).await;
    let answer = http::get(scene.server.address(), OPEN, &[("origin", THEIRS)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("*"),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        None,
        "{answer:?}"
    );
    assert!(
        Wire::dial(scene.server.address(), &[("origin", THEIRS)])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_stock_client_of_a_strange_origin_gets_a_connect_error() {
    let scene = Scene::with(&frontends()).await;
    for transport in ["websocket", "polling"] {
        let options = |origin: &str| json!({"transports": [transport], "reconnection": false, "extraHeaders": {"origin": origin}});
        let mut strange = scene
            .stock
            .open(scene.server.address(), &options(THEIRS), &[])
            .0;
        assert_eq!(
            strange.refused().await["message"],
            "origin_not_allowed",
            "{transport}"
        );
        let mut known = scene
            .stock
            .open(scene.server.address(), &options(OURS), &[])
            .0;
        known.connected().await;
    }
}

#[tokio::test]
async fn a_ready_server_says_so() {
    let scene = Scene::new().await;
    assert_eq!(scene.server.get("/livez").await.status, 200);
    let ready = scene.server.readiness(200).await;
    assert!(
        ready
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json")),
        "{ready:?}"
    );
    ready.json();
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_found() {
    let scene = Scene::new().await;
    for path in ["/nowhere", "/api", "/metrics", "/socket.iox"] {
        let answer = scene.server.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    assert_eq!(
        scene.server.get("/nowhere").await.json()["error"]["code"],
        "not_found"
    );
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let scene = Scene::new().await;
    let mut websocket = scene.joined("a-room-of-mine").await;
    let mut polling = scene.stock.connect_by("polling", &scene.server).await;
    polling.join("a-room-of-mine").await;
    for number in 0..10 {
        scene
            .database
            .say("a-room-of-mine", &number.to_string())
            .await;
        websocket.next().await;
        polling.next().await;
    }
    scene
        .server
        .counted("rowcast_events_read_total", &[], 10.0)
        .await;
    scene
        .server
        .counted("rowcast_deliveries_total", &[], 20.0)
        .await;
    scene
        .server
        .counted("rowcast_connects_total", &["ew"], 2.0)
        .await;
    scene
        .server
        .counted("rowcast_joins_total", &["oined"], 2.0)
        .await;
    scene
        .server
        .counted("rowcast_commit_to_broadcast_seconds_count", &[], 10.0)
        .await;
    scene
        .server
        .counted("rowcast_sockets", &["ebsocket"], 1.0)
        .await;
    scene
        .server
        .counted("rowcast_sockets", &["olling"], 1.0)
        .await;
    websocket.disconnect();
    scene
        .server
        .counted("rowcast_disconnects_total", &[], 1.0)
        .await;

    let page = http::get(scene.server.admin(), "/metrics", &[]).await;
    assert_eq!(page.status, 200);
    for name in [
        "rowcast_slow_consumers_total",
        "rowcast_reader_lag_events",
        "rowcast_reader_lag_seconds",
        "rowcast_wakes_total",
        "rowcast_listener_reconnects_total",
        "rowcast_notify_queue_usage_ratio",
        "rowcast_outbox_rows",
        "rowcast_outbox_bytes",
        "rowcast_pruned_events_total",
        "rowcast_capture_errors_total",
        "rowcast_typing_events_total",
        "rowcast_http_requests_total",
    ] {
        assert!(
            page.body.lines().any(|line| line.starts_with(name)),
            "{name} is missing:\n{}",
            page.body
        );
    }
    assert!(!page.body.contains("a-room-of-mine"), "rooms are no labels");
}

#[tokio::test]
async fn the_admin_listener_can_be_off() {
    let database = Database::chat().await;
    let server = Server::with(&database, &[("ROWCAST_ADMIN", "")]).await;
    assert_eq!(server.admin(), "off");
    assert_eq!(server.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn healthcheck_ends_as_the_server_stands() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let (_, port) = server.address().rsplit_once(':').expect("a port");
    let check = || Launch::command(["healthcheck"]).env("PORT", port).end();
    server.readiness(200).await;
    assert_eq!(check().await.code, Some(0));
    server.stop().await;
    let gone = check().await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(!gone.stderr.trim().is_empty(), "it says why: {gone:?}");
}
