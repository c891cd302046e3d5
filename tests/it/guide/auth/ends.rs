//! The ends of rights, and tokens in cookies, as the page tells of them.

use serde_json::json;

use super::{block, guarded, joins};
use crate::harness::token::token;
use crate::harness::wait::until;

#[tokio::test]
async fn the_statements_end_what_the_page_says() {
    let scene = guarded(&[]).await;
    let all = |subject: &str| token(subject, &json!({ "conversations": "*" }));
    let (blocked, reassigned) = (all("user-7"), all("user-8"));
    scene.database.run(&block("Revocation", "sql")).await;
    until("both revocations to be known", async || {
        let known = scene.server.metric("rowcast_revocations", &[]).await;
        (known > 1.5).then_some(())
    })
    .await;
    let mut out = super::bearer(&scene.stock, &scene.server, &blocked);
    assert_eq!(out.refused().await["message"], "unauthorized");
    let joined = joins(&scene.stock, &scene.server, &reassigned, &["42", "43"]).await;
    assert_eq!(joined, ["forbidden", "ok"]);
}

#[tokio::test]
async fn a_cookie_carries_the_token_for_a_known_page_alone() {
    let header = block("Cookies", "text");
    let (name, _) = header
        .strip_prefix("Set-Cookie: ")
        .and_then(|rest| rest.split_once("=<token>;"))
        .expect("a cookie with the token");
    let scene = guarded(&[("ROWCAST_JWT_COOKIE", name)]).await;
    let cookie = format!(
        "{name}={}",
        token("user-7", &json!({ "conversations": ["42"] }))
    );
    let cookie = ("cookie", cookie.as_str());
    let page = ("origin", "http://localhost:3000");
    let status = async |headers: &[(&str, &str)]| {
        let answer = scene.server.ask("42", "messages", headers).await;
        answer.status
    };
    assert_eq!(status(&[cookie, page]).await, 200);
    assert_eq!(
        status(&[cookie, ("sec-fetch-site", "same-origin")]).await,
        200
    );
    assert_eq!(status(&[cookie]).await, 403);
    let elsewhere = ("origin", "https://elsewhere.example");
    assert_eq!(status(&[cookie, elsewhere]).await, 403);
}

#[tokio::test]
async fn a_policy_is_asked_by_hand_as_the_server_asks_it() {
    let scene = guarded(&[]).await;
    let ask = block("What the policy says", "sql");
    let ask = ask.trim().strip_suffix("rollback;").expect("it ends so");
    let mut connection = scene.database.connection().await;
    let answer = crate::harness::database::value(
        &mut connection,
        &ask.replace(
            "select rowcast.may_join(",
            "select to_json(rowcast.may_join(",
        )
        .replace("'conversation:42');", "'conversation:42'))::text;"),
    )
    .await;
    assert_eq!(answer, "true");
}
