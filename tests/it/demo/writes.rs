//! What is written through the demo, and what is refused.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{JSON, ON, POSTS, THEIRS, post, post_with, refused};
use crate::harness::Scene;
use crate::harness::http::request;
use crate::harness::wait::within;

#[tokio::test]
async fn a_message_of_an_agent_is_a_row_like_any_other() {
    let scene = Scene::with(&[ON]).await;
    let mut client = scene.joined("a/b").await;
    for body in ["Grüße 🎈\n\"q\"", " x ", &"é".repeat(4096)] {
        let answer = post(&scene.server, "a/b", "messages", &json!({ "body": body })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let event = client.event("message:new").await;
        let message = &event.payload()["message"];
        assert_eq!(answer.json(), json!({ "id": message["id"] }));
        assert_eq!(message["body"], body);
        assert_eq!(message["contactId"], "a/b");
        assert_eq!(message["direction"], "outbound");
        assert_eq!(message["author"], "agent");
        assert_eq!(message["status"], "sent");
    }
}

/// Its answer may have got lost, so the page asks again.
#[tokio::test]
async fn a_message_is_written_once_for_its_key() {
    let scene = Scene::with(&[ON]).await;
    let message = json!({ "body": "once", "externalId": "k1" });
    let mut at_once = tokio::task::JoinSet::new();
    let address = scene.server.address().to_owned();
    for _ in 0..8 {
        let (address, body) = (address.clone(), message.to_string());
        at_once.spawn(async move {
            let path = "/demo/conversations/42/messages";
            request(&address, "POST", path, &[JSON], &body).await
        });
    }
    let answers = at_once.join_all().await;
    for answer in &answers {
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.json(), answers[0].json(), "one id");
    }
    let written = "select string_agg(body || external_id, ' ') from messages";
    assert_eq!(scene.database.value(written).await, "oncek1");
    // Another conversation's is not told of.
    let answer = post(&scene.server, "43", "messages", &message).await;
    let said = refused(&answer, 400, "bad_request");
    assert!(said.contains("another message"), "{said}");
    assert_eq!(scene.database.value(written).await, "oncek1");
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_says_why() {
    let scene = Scene::with(&[ON]).await;
    let long = json!({ "body": "x".repeat(4097) }).to_string();
    let huge = json!({ "body": "x".repeat(70_000) }).to_string();
    for (body, status, code, word) in [
        (r#"{"body":""}"#, 400, "bad_request", "blank"),
        (r#"{"body":" \n\t "}"#, 400, "bad_request", "blank"),
        (&*long, 400, "bad_request", "4096"),
        (r#"{"body":"a\u0000b"}"#, 400, "bad_request", "U+0000"),
        (r#"{"body":7}"#, 400, "bad_request", "string"),
        (r#"{"body":null}"#, 400, "bad_request", "string"),
        (r#"{"text":"hi"}"#, 400, "bad_request", "text"),
        (
            r#"{"body":"hi","author":"Ada"}"#,
            400,
            "bad_request",
            "author",
        ),
        (
            r#"{"body":"hi","externalId":""}"#,
            400,
            "bad_request",
            "externalId",
        ),
        (
            r#"{"body":"hi","externalId":"a\u0000b"}"#,
            400,
            "bad_request",
            "externalId",
        ),
        ("{}", 400, "bad_request", "body"),
        ("", 400, "bad_request", "body"),
        (r#"{"body":"hi""#, 400, "bad_request", "body"),
        (&*huge, 413, "payload_too_large", "bytes"),
    ] {
        let answer = post_with(&scene.server, "42", "messages", &[JSON], body).await;
        let message = refused(&answer, status, code);
        assert!(message.contains(word), "{body}: {message}");
    }
    for what in ["read", "bot"] {
        for body in ["", "x", r#"{"contactId":"43"}"#] {
            let answer = post_with(&scene.server, "42", what, &[JSON], body).await;
            refused(&answer, 400, "bad_request");
        }
    }
    for (what, body) in POSTS {
        let long = "x".repeat(501);
        let answer = post_with(&scene.server, &long, what, &[JSON], body).await;
        refused(&answer, 400, "bad_request");
    }
    nothing_was_written(&scene).await;
}

async fn nothing_was_written(scene: &Scene) {
    let written =
        "select (select count(*) from messages) + (select count(*) from message_statuses)";
    assert_eq!(scene.database.value(written).await, "0");
}

#[tokio::test]
async fn what_a_form_can_send_is_refused() {
    let scene = Scene::with(&[ON]).await;
    let form = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
    ];
    for (what, body) in POSTS {
        let mut answers = vec![post_with(&scene.server, "42", what, &[], body).await];
        for kind in form {
            let headers = [("content-type", kind)];
            answers.push(post_with(&scene.server, "42", what, &headers, body).await);
        }
        for answer in &answers {
            let message = refused(answer, 415, "bad_request");
            assert!(message.contains("application/json"), "{message}");
        }
    }
    nothing_was_written(&scene).await;
    let headers = [("content-type", "Application/JSON; charset=utf-8")];
    let answer = post_with(&scene.server, "42", "messages", &headers, POSTS[0].1).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn pages_of_other_origins_do_not_write() {
    for frontend in ["https://app.example.com", "*"] {
        let scene = Scene::with(&[ON, ("FRONTEND_URL", frontend)]).await;
        for (what, body) in POSTS {
            let headers = [JSON, THEIRS];
            let answer = post_with(&scene.server, "42", what, &headers, body).await;
            refused(&answer, 403, "forbidden");
        }
        nothing_was_written(&scene).await;
        let own = format!("http://{}", scene.server.address());
        let headers = [JSON, ("origin", &own)];
        let answer = post_with(&scene.server, "42", "messages", &headers, POSTS[0].1).await;
        assert_eq!(answer.status, 201, "{frontend}: {answer:?}");
    }
    // A browser asks first, and is told who may.
    let scene = Scene::with(&[ON]).await;
    let ask = [
        THEIRS,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let path = "/demo/conversations/42/messages";
    let answer = request(scene.server.address(), "OPTIONS", path, &ask, "").await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        None,
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_body_that_never_ends_holds_no_stop_up() {
    let scene = Scene::with(&[ON, ("ROWCAST_DRAIN", "1h")]).await;
    let mut half = TcpStream::connect(scene.server.address())
        .await
        .expect("accepted");
    let head = "POST /demo/conversations/42/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    half.write_all(head.as_bytes()).await.expect("written");
    // Requests of one connection after another are read in the order in which they came.
    scene.server.get("/demo/about").await;
    within("the server to stop", scene.server.stop()).await;
}
