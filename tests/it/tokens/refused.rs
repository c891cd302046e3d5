//! Who is refused learns one word and what helps, on every way in; and the log says why, without the token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::{server, turned_away};
use crate::harness::issuer::{SECRET, claims, in_seconds, secret_tokens, token};
use crate::harness::{Database, Server, Stock, http};

async fn ask(server: &Server, token: &str) -> http::Response {
    let bearer = format!("Bearer {token}");
    let path = "/api/conversations/42/messages";
    http::get(server.address(), path, &[("authorization", &bearer)]).await
}

#[tokio::test]
async fn a_refusal_says_what_helps_on_every_way_in() {
    let database = Database::chat().await;
    let (server, stock) = (server(&database, &[]).await, Stock::start());
    let expired = json!({ "sub": "user-7", "exp": in_seconds(-60) });
    let good = token(claims("user-7")).await;
    let unsigned = format!(
        "{}.{}.",
        BASE64.encode(r#"{"alg":"none"}"#),
        BASE64.encode(claims("user-7").to_string())
    );
    let cases = [
        (token(expired).await, "token_expired"),
        (
            token(json!({ "sub": "", "exp": in_seconds(60) })).await,
            "unauthorized",
        ),
        (unsigned, "unauthorized"),
        (format!("{good}x"), "unauthorized"),
        (String::new(), "unauthorized"),
        ("x".repeat(9_000), "unauthorized"),
    ];
    for (token, message) in &cases {
        let data = json!({ "retryable": false, "refresh": true });
        for transport in ["websocket", "polling"] {
            let options = json!({ "transports": [transport], "auth": { "token": token } });
            let mut client = stock.open(server.address(), &options, &[]).0;
            let refusal = client.refused().await;
            assert_eq!(
                (&refusal["message"], &refusal["data"]),
                (&json!(message), &data),
                "{transport}"
            );
            assert_eq!(
                refusal["active"], false,
                "a stock client does not come back by itself"
            );
        }
        if token.len() < 10_000 {
            let answer = ask(&server, token).await;
            assert_eq!(answer.status, 401, "{answer:?}");
            assert_eq!(answer.json()["error"]["code"], "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
    // The same by polling that is upgraded, and with nothing said.
    let mut client = stock.open(server.address(), &json!({}), &[]).0;
    assert_eq!(client.refused().await["message"], "unauthorized");
    let line = server
        .log("the cause", |line| {
            line["reason"] == "the token has expired"
        })
        .await;
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("rowcast token --check"))
    );
    for line in server.lines() {
        assert!(!line.contains(SECRET), "{line}");
        assert!(
            !cases
                .iter()
                .any(|(token, _)| token.len() > 20 && line.contains(&token[..20])),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_page_that_is_not_named_is_refused_with_a_token_too() {
    let database = Database::chat().await;
    let (server, stock) = (server(&database, &[]).await, Stock::start());
    let token = token(claims("user-7")).await;
    let options = json!({
        "transports": ["websocket"], "auth": { "token": token }, "extraHeaders": { "origin": "https://evil.example" },
    });
    let refusal = stock
        .open(server.address(), &options, &[])
        .0
        .refused()
        .await;
    assert_eq!(refusal["message"], "origin_not_allowed");
    assert_eq!(
        refusal["data"],
        json!({ "retryable": false, "refresh": false })
    );
}

#[tokio::test]
async fn issuer_and_audience_are_held() {
    let database = Database::chat().await;
    let rules = [
        ("ROWCAST_JWT_ISSUER", "https://id.example/"),
        ("ROWCAST_JWT_AUDIENCE", "rowcast"),
    ];
    let (server, stock) = (server(&database, &rules).await, Stock::start());
    let with = |iss: Value, aud: Value| {
        let mut claims = claims("user-7");
        claims["iss"] = iss;
        claims["aud"] = aud;
        claims
    };
    let made = secret_tokens(&[
        with(json!("https://id.example/"), json!(["x", "rowcast"])),
        with(json!("https://id.example"), json!("rowcast")),
        with(json!("https://id.example/"), json!("other")),
        with(json!(["https://id.example/"]), json!("rowcast")),
        claims("user-7"),
    ])
    .await;
    super::admitted(&stock, &server, &made[0]).await;
    for token in &made[1..] {
        assert_eq!(
            turned_away(&stock, &server, token).await["message"],
            "unauthorized"
        );
        assert_eq!(ask(&server, token).await.status, 401);
    }
}

#[tokio::test]
async fn an_answer_over_http_is_one_identitys() {
    let database = Database::chat().await;
    let server = server(&database, &[]).await;
    let made = secret_tokens(&[claims("user-7"), claims("user-8")]).await;
    let first = ask(&server, &made[0]).await;
    let tag = first.header("etag").expect("a tag").to_owned();
    let vary = first.header("vary").unwrap_or_default().to_lowercase();
    assert!(
        vary.contains("authorization") && vary.contains("cookie"),
        "{first:?}"
    );
    let again = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("if-none-match", &tag)];
        let path = "/api/conversations/42/messages";
        http::get(server.address(), path, &headers).await.status
    };
    assert_eq!(again(&made[0]).await, 304);
    assert_eq!(
        again(&made[1]).await,
        200,
        "what one has says nothing of another"
    );
}
