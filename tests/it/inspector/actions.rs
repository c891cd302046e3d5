//! What the inspector may change, and who may have it do so.

use serde_json::{Value, json};

use super::{JSON, MARK, Stage, TOKEN, post, post_with, refused};
use crate::harness::http;

const WRITE: (&str, &str) = ("ROWCAST_ADMIN_WRITE", "on");

/// Each action, with a body that it takes.
fn bodies() -> [(&'static str, Value); 3] {
    [
        (
            "emit",
            json!({ "room": "conversation:1", "event": "note", "data": { "a": 1 } }),
        ),
        ("disconnect", json!({ "socket": 1 })),
        (
            "revoke",
            json!({ "subject": "ana", "room": null, "reason": null }),
        ),
    ]
}

#[tokio::test]
async fn nothing_is_changed_unless_it_was_said_that_it_may() {
    let stage = Stage::new().await;
    let mut ana = stage.client("ana", &["1"]).await;
    for (action, body) in bodies() {
        let message = refused(&post(&stage.server, action, &body).await, 403);
        assert!(message.contains("ROWCAST_ADMIN_WRITE=on"), "{message}");
    }
    assert_eq!(stage.get("session").await["write"], false);
    stage.database.say("1", "still there").await;
    assert_eq!(ana.event("message:new").await.body(), "still there");
    let written = "select count(*) from rowcast.events where event <> 'message:new'";
    assert_eq!(stage.database.value(written).await, "0");
}

#[tokio::test]
async fn emit_reaches_the_room_as_it_was_typed() {
    let stage = Stage::with(&[WRITE]).await;
    let mut ana = stage.client("ana", &["1"]).await;
    // More digits than JavaScript has.
    let body = r#"{"room":"conversation:1","event":"note","data":{"n":12345678901234567890}}"#;
    let answer = post_with(&stage.server, "emit", &[JSON, MARK], body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    ana.event("note").await;
    let stored = "select data ->> 'n' from rowcast.events where event = 'note'";
    assert_eq!(stage.database.value(stored).await, "12345678901234567890");
    let line = stage
        .server
        .log("who emitted", |line| line["action"] == "emit")
        .await;
    assert_eq!(
        (&line["address"], &line["token"]),
        (&json!("127.0.0.1"), &json!("none"))
    );
    assert!(
        !line.to_string().contains("123456789"),
        "no payload: {line}"
    );

    for (body, words) in [
        (
            json!({ "room": "nowhere", "event": "note", "data": {} }),
            "<kind>:<id>",
        ),
        (
            json!({ "room": "rowcast:revocations", "event": "note", "data": {} }),
            "own",
        ),
        (json!({ "room": "a:1", "event": "note" }), "data"),
        (json!({ "room": "a:1", "event": "", "data": {} }), "event"),
    ] {
        let message = refused(&post(&stage.server, "emit", &body).await, 400);
        assert!(message.contains(words), "{body}: {message}");
    }
}

#[tokio::test]
async fn disconnect_cuts_one_socket_which_comes_back() {
    let stage = Stage::with(&[WRITE, ("ROWCAST_ADMIN_TOKEN", TOKEN)]).await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [JSON, MARK, ("authorization", bearer.as_str())];
    let mut ana = stage.client("ana", &["1"]).await;
    let mut ben = stage.client("ben", &["1"]).await;
    let list = http::get(
        stage.server.admin(),
        "/api/sockets?search=ana",
        &headers[2..],
    )
    .await;
    let number = list.json()["sockets"][0]["socket"].clone();
    let body = json!({ "socket": number }).to_string();
    let answer = post_with(&stage.server, "disconnect", &headers, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    ana.disconnected().await;
    assert!(ana.connected().await, "it resumes");
    stage.database.say("1", "for both").await;
    for client in [&mut ana, &mut ben] {
        assert_eq!(client.event("message:new").await.body(), "for both");
    }
    let line = stage
        .server
        .log("who disconnected", |line| line["action"] == "disconnect")
        .await;
    assert_eq!(line["connection"], number, "{line}");
    let token = line["token"].as_str().expect("how the token is named");
    assert!(
        token.starts_with("sha256:") && !token.contains(TOKEN),
        "{line}"
    );
    refused(
        &post_with(&stage.server, "disconnect", &headers, &body).await,
        404,
    );
}

#[tokio::test]
async fn revoke_ends_a_right_with_its_reason() {
    let stage = Stage::with(&[WRITE]).await;
    let mut ana = stage.client("ana", &["1", "2"]).await;
    let mut ben = stage.client("ben", &["1"]).await;
    let body = json!({ "subject": "ana", "room": "conversation:1", "reason": "moved" });
    assert_eq!(post(&stage.server, "revoke", &body).await.status, 200);
    let left = ana.event("rowcast:left").await;
    assert_eq!(
        left.payload(),
        &json!({ "room": "conversation:1", "reason": "moved" })
    );
    let body = json!({ "subject": "ana", "room": null, "reason": null });
    assert_eq!(post(&stage.server, "revoke", &body).await.status, 200);
    ana.disconnected().await;
    assert_eq!(ana.refused().await["message"], "unauthorized");
    stage.database.say("1", "for ben").await;
    assert_eq!(ben.event("message:new").await.body(), "for ben");
    stage
        .server
        .log("who revoked", |line| {
            line["action"] == "revoke"
                && line["what"]
                    .as_str()
                    .is_some_and(|what| what.contains("everywhere"))
        })
        .await;
    let message = refused(
        &post(&stage.server, "revoke", &json!({ "subject": "" })).await,
        400,
    );
    assert!(message.contains("subject"), "{message}");
}

/// What another site's page can have its visitor's browser send: a form, a fetch without a preflight, a request of another port's page.
#[tokio::test]
async fn another_sites_page_can_change_nothing() {
    let stage = Stage::with(&[WRITE]).await;
    let own = format!("http://{}", stage.server.admin());
    let text = ("content-type", "text/plain");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own_page = [
        JSON,
        MARK,
        ("origin", own.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    for (action, body) in bodies().into_iter().chain([("doctor", json!({}))]) {
        for (headers, status) in [
            (&[text, MARK][..], 415),
            (&[form, MARK], 415),
            (&[MARK], 415),
            (&[JSON], 403),
            (&[JSON, MARK, ("origin", "http://127.0.0.1:3001")], 403),
            (&[JSON, MARK, ("origin", "null")], 403),
            (&[JSON, MARK, ("sec-fetch-site", "same-site")], 403),
            (&[JSON, MARK, ("sec-fetch-site", "cross-site")], 403),
        ] {
            let answer = post_with(&stage.server, action, headers, &body.to_string()).await;
            refused(&answer, status);
        }
        // No other site is let ask for more.
        let path = format!("/api/{action}");
        let preflight = [
            ("origin", "https://evil.example"),
            ("access-control-request-method", "POST"),
        ];
        let answer = http::request(stage.server.admin(), "OPTIONS", &path, &preflight, "").await;
        assert!(answer.status >= 400 && answer.header("access-control-allow-origin").is_none());
    }
    let written = "select count(*) from rowcast.events";
    assert_eq!(stage.database.value(written).await, "0");
    let (emit, body) = &bodies()[0];
    let answer = post_with(&stage.server, emit, &own_page, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
