//! A connection lives as long as its token, or the one that followed it.

use serde_json::json;

use super::{admitted, server};
use crate::harness::issuer::{claims, in_seconds, secret_tokens};
use crate::harness::{Database, Stock};

fn short(subject: &str, seconds: i64) -> serde_json::Value {
    json!({ "sub": subject, "exp": in_seconds(seconds), "conversations": "*" })
}

#[tokio::test]
async fn at_its_end_a_token_ends_the_connection_and_a_fresh_one_resumes() {
    let database = Database::chat().await;
    let (server, stock) = (
        server(&database, &[("ROWCAST_JWT_LEEWAY", "0s")]).await,
        Stock::start(),
    );
    let made = secret_tokens(&[
        short("user-7", 5),
        claims("user-7"),
        claims("user-8"),
        short("user-7", 5),
    ])
    .await;
    for transport in ["websocket", "polling"] {
        let made = secret_tokens(&[short("user-7", 4)]).await;
        let options = json!({ "transports": [transport], "auth": { "token": made[0] } });
        let mut cut = stock.open(server.address(), &options, &[]).0;
        cut.connected().await;
        cut.join("42").await;
        assert!(["transport close", "transport error"].contains(&&*cut.disconnected().await));
        let refusal = cut.refused().await;
        // The stock client came back by itself, with the token that has ended.
        if refusal["active"] == false {
            assert_eq!(refusal["message"], "token_expired", "{refusal}");
        }
    }
    server
        .counted("rowcast_expired_tokens_total", &[], 2.0)
        .await;
    drop(made);
}

#[tokio::test]
async fn auth_refresh_goes_on_without_a_reconnect_for_the_same_subject_only() {
    let database = Database::chat().await;
    let (server, stock) = (
        server(&database, &[("ROWCAST_JWT_LEEWAY", "0s")]).await,
        Stock::start(),
    );
    let mut other_issuer = claims("user-7");
    other_issuer["iss"] = json!("elsewhere");
    let made = secret_tokens(&[
        short("user-7", 6),
        claims("user-7"),
        claims("user-8"),
        other_issuer,
        json!({ "sub": "user-7", "exp": in_seconds(-60) }),
    ])
    .await;
    let mut refreshed = admitted(&stock, &server, &made[0]).await;
    let mut stays = admitted(&stock, &server, &made[0]).await;
    refreshed.join("42").await;
    for (argument, code) in [
        (json!([made[2]]), "unauthorized"),
        (json!([made[3]]), "unauthorized"),
        (json!([made[4]]), "token_expired"),
        (json!(["x"]), "unauthorized"),
        (json!([]), "bad_request"),
        (json!([7]), "bad_request"),
    ] {
        let answer = refreshed.ask("auth:refresh", argument).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    let answer = refreshed.ask("auth:refresh", json!([made[1]])).await;
    assert_eq!(answer, json!({ "ok": true }));
    assert_eq!(
        refreshed
            .ask("auth:refresh", json!([{ "token": made[1] }]))
            .await,
        json!({ "ok": true })
    );
    // The other one, with the same token at first, is cut; this one is not.
    stays.disconnected().await;
    server
        .counted("rowcast_expired_tokens_total", &[], 1.0)
        .await;
    database
        .run("insert into messages (contact_id, body) values ('42', 'after')")
        .await;
    assert_eq!(refreshed.event("message:new").await.body(), "after");
    assert!((server.metric("rowcast_expired_tokens_total", &[]).await - 1.0).abs() < 0.5);
    refreshed.join("43").await;
}

#[tokio::test]
async fn without_tokens_a_refresh_changes_nothing() {
    let scene = crate::harness::Scene::new().await;
    let client = scene.joined("42").await;
    assert_eq!(
        client.ask("auth:refresh", json!(["anything"])).await,
        json!({ "ok": true })
    );
}
