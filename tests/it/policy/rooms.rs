//! What the shipped policy allows.

use serde_json::json;

use super::{bearer, guarded, joining, metric};
use crate::harness::api::encoded;
use crate::harness::http;
use crate::harness::token::token;

/// Claims, a room, and whether they allow it.
const ALLOWED: &str = r#"
{"conversations":["42"]}                | conversation:42   | true
{"conversations":[42]}                  | conversation:42   | true
{"conversations":[42]}                  | conversation:042  | false
{"conversations":[42]}                  | order:42          | false
{"conversations":[-1]}                  | conversation:-1   | true
{"conversations":[99999999999999999999]} | conversation:99999999999999999999 | true
{"conversations":[true, null, {}]}      | conversation:true | false
{"conversations":"42"}                  | conversation:42   | false
{"conversations":"*"}                   | conversation:42   | true
{"conversations":"*"}                   | order:42          | false
{"conversations":["*"]}                 | conversation:42   | false
{"conversations":["a%"]}                | conversation:ab   | false
{"conversations":["a'b\"c", "é", "日本"]} | conversation:a'b"c | true
{"conversations":["é"]}                 | conversation:é    | true
{"rooms":["order:1"]}                   | order:1           | true
{"rooms":["order:*"]}                   | order:1           | true
{"rooms":["order:*"]}                   | orders:1          | false
{"rooms":["ord%:*", "o_der:*"]}         | order:1           | false
{"rooms":["a*b"]}                       | axb               | false
{"rooms":["a*b"]}                       | a*b               | true
{"rooms":["*"]}                         | anything          | true
{"rooms":"*"}                           | anything          | false
{"rooms":[1, null, {"a":"*"}, ["*"]]}   | order:1           | false
{"rooms":{"*":"*"}}                     | order:1           | false
{"rooms":[]}                            | conversation:42   | false
{}                                      | conversation:42   | false
[]                                      | conversation:42   | false
null                                    | conversation:42   | false
"#;

#[tokio::test]
async fn claims_allow_the_rooms_that_they_name_and_no_other() {
    let database = crate::harness::Database::chat().await;
    for line in ALLOWED.trim().lines() {
        let mut parts = line.split(" | ").map(str::trim);
        let (claims, room, allowed) = (parts.next(), parts.next(), parts.next());
        let quoted = |text: Option<&str>| text.expect("three columns").replace('\'', "''");
        let ask = format!(
            "select rowcast.may_join('{}', '{}')::text",
            quoted(claims),
            quoted(room)
        );
        assert_eq!(
            database.value(&ask).await,
            allowed.expect("three columns"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_client_joins_and_reads_what_its_claims_allow() {
    let scene = guarded(&[]).await;
    let long = "x".repeat(500);
    let odd = [
        "42",
        "it's",
        "\"q\"",
        "50%",
        "日本語",
        "a*b",
        "a b",
        "conversation:1",
        &long,
    ];
    let claims = json!({ "conversations": odd });
    let mut client = bearer(&scene, "one", &claims).await;
    let token = token("one", &claims);
    let bearing = format!("Bearer {token}");
    let headers = [("authorization", bearing.as_str())];
    for contact in odd {
        assert_eq!(joining(&client, contact).await, "ok", "{contact}");
        let path = format!("/api/conversations/{}/events", encoded(contact));
        let read = http::get(scene.server.address(), &path, &headers).await;
        assert_eq!(read.status, 200, "{read:?}");
    }
    for contact in ["43", "5", "50x", "axb", "its", "a'b", "*", "%"] {
        assert_eq!(joining(&client, contact).await, "forbidden", "{contact}");
        for what in ["events", "messages"] {
            let path = format!("/api/conversations/{}/{what}", encoded(contact));
            let read = http::get(scene.server.address(), &path, &headers).await;
            assert_eq!(
                (read.status, &read.json()["error"]["code"]),
                (403, &json!("forbidden"))
            );
        }
    }
    assert_eq!(joining(&client, "a\0b").await, "bad_request");
    scene.database.say("42", "for you").await;
    assert_eq!(client.event("message:new").await.body(), "for you");
    scene.database.say("43", "for another").await;
    scene.assert_nothing_more("42", &mut client).await;
    assert!(metric(&scene.server, "rowcast_policy_denials_total").await >= 8.0);
}

/// A statement for each join would be twenty; a client that comes back needs one.
#[tokio::test]
async fn a_client_that_comes_back_is_asked_about_in_one_statement() {
    let scene = guarded(&[]).await;
    let claims = json!({ "rooms": ["conversation:r*"] });
    let mut client = bearer(&scene, "one", &claims).await;
    for number in 0..20 {
        client.join(&format!("r{number}")).await;
    }
    let before = metric(&scene.server, "rowcast_policy_statements_total").await;
    client.cut();
    assert!(client.connected().await, "it has missed nothing");
    let after = metric(&scene.server, "rowcast_policy_statements_total").await;
    assert!((after - before - 1.0).abs() < 0.5, "{before} and {after}");
    scene.database.say("r7", "still in").await;
    assert_eq!(client.event("message:new").await.body(), "still in");
}
