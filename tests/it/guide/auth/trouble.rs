//! The page's tables: every setting of tokens is there, and every refusal is what is told.

use serde_json::{Value, json};

use super::{AUTH, guarded};
use crate::guide::page::quoted;
use crate::harness::token::{SECRET, token};
use crate::harness::{Launch, Scene};

#[tokio::test]
async fn every_setting_of_tokens_is_on_the_page_with_its_default() {
    let all = Launch::command(["check"]).succeed().await.stdout;
    let rows = AUTH.rows("Settings");
    let named: Vec<_> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    let parts = [
        "ROWCAST_AUTH",
        "ROWCAST_JWT_",
        "ROWCAST_POLICY_",
        "ROWCAST_MAX_TOKEN_",
    ];
    let settings: Vec<_> = all
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| parts.iter().any(|part| name.starts_with(part)))
        .collect();
    assert!(settings.len() > 12, "{settings:?}");
    for setting in settings {
        assert!(named.iter().any(|name| name == setting), "{setting}");
    }
    for row in rows {
        for default in quoted(&row[1]) {
            let name = quoted(&row[0]);
            let is_told = all.lines().any(|line| {
                line.contains(&default) && name.iter().any(|name| line.starts_with(name))
            });
            assert!(is_told, "{default} of {row:?} in {all}");
        }
    }
}

/// What a client is told whose handshake is this.
async fn told(scene: &Scene, token: &str, headers: Value) -> Value {
    let options = json!({
        "transports": ["websocket"], "auth": { "token": token }, "extraHeaders": headers, "reconnection": false,
    });
    let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
    client.refused().await
}

#[tokio::test]
async fn refusals_are_what_the_page_says() {
    let scene = guarded(&[]).await;
    let rows = AUTH.rows("The connection is refused");
    let good = token("user-7", &json!({}));
    let old = token("user-7", &json!({ "exp": 1_700_000_000 }));
    let huge = token("user-7", &json!({ "text": "x".repeat(20_000) }));
    let page = "http://localhost:3000";
    let mut seen = Vec::new();
    for (token, headers) in [
        ("nothing", json!({})),
        (&*old, json!({})),
        (&*good, json!({ "origin": "https://elsewhere.example" })),
        (
            &*good,
            json!({ "host": "elsewhere.example", "origin": page }),
        ),
        (&*huge, json!({})),
    ] {
        let told = told(&scene, token, headers).await;
        let message = told["message"].as_str().expect("a message");
        let row = rows.iter().find(|row| quoted(&row[0]) == [message]);
        let row = row.unwrap_or_else(|| panic!("no row for {told}"));
        let data = quoted(&row[1]).remove(0);
        let data = data
            .replace("retryable", "\"retryable\"")
            .replace("refresh", "\"refresh\"");
        let data: Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(told["data"], data, "{message}");
        seen.push(message.to_owned());
    }
    let expected = [
        "unauthorized",
        "token_expired",
        "origin_not_allowed",
        "host_not_allowed",
        "auth_too_large",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn answers_over_http_are_what_the_page_says() {
    let scene = guarded(&[("ROWCAST_MAX_HTTP_RATE", "20")]).await;
    assert!(SECRET.len() >= 32);
    let rows = AUTH.rows("A request or a join is refused");
    let bearing = |token: &str| format!("Bearer {token}");
    let good = bearing(&token("user-7", &json!({ "conversations": ["42"] })));
    let old = bearing(&token("user-7", &json!({ "exp": 1_700_000_000 })));
    let host = [
        ("authorization", good.as_str()),
        ("host", "elsewhere.example"),
        ("origin", "http://localhost:3000"),
    ];
    for (contact, headers) in [
        ("42", &[("authorization", old.as_str())][..]),
        ("43", &[("authorization", good.as_str())][..]),
        ("42", &host[..]),
    ] {
        let answer = scene.server.ask(contact, "messages", headers).await;
        let code = answer.json()["error"]["code"].clone();
        let is_told = rows.iter().any(|row| {
            row[0].contains(&answer.status.to_string())
                && quoted(&row[1]) == [code.as_str().unwrap_or_default()]
        });
        assert!(is_told, "{answer:?}");
    }
}
