//! A resume session belongs to an issuer and a subject: pid and offset of another identity bring back nothing.

use serde_json::{Value, json};

use super::server;
use crate::harness::issuer::{claims, secret_tokens};
use crate::harness::{Database, Server, Wire};

/// A client that has joined a conversation and gone, as what it would come back with.
async fn gone(server: &Server, database: &Database, token: Option<&str>) -> Value {
    let (connect, mut wire) =
        Wire::connect_with(server.address(), &json!({ "token": token })).await;
    wire.emit("join:conversation", &json!(["42"]), Some(1))
        .await;
    let joined = wire.answer(1).await;
    assert_eq!(joined["ok"], true, "{joined}");
    drop(wire);
    database
        .run("insert into messages (contact_id, body) values ('42', 'missed')")
        .await;
    json!({ "pid": connect["pid"], "offset": joined["offset"] })
}

/// Whether the client with this token is given the session.
async fn resumes(server: &Server, session: &Value, token: Option<&str>) -> bool {
    let mut auth = session.clone();
    auth["token"] = json!(token);
    let mut wire = Wire::open(server.address()).await;
    wire.send(&format!("40{auth}")).await;
    let frame = wire
        .find("the CONNECT packet", |frame| frame.starts_with("40"))
        .await;
    let connect: Value = serde_json::from_str(&frame[2..]).expect("JSON");
    let resumed = connect["pid"] == session["pid"];
    let first = wire
        .find("the first event", |frame| frame.starts_with("42"))
        .await;
    assert!(first.contains("rowcast:ready"), "{first}");
    if resumed {
        wire.find("what was missed", |frame| frame.contains("missed"))
            .await;
    } else {
        // Nothing of the room comes, not even its name.
        wire.emit("leave:conversation", &json!(["none"]), Some(9))
            .await;
        let next = wire.frame().await.expect("an answer");
        assert!(next.starts_with("439"), "{next}");
    }
    resumed
}

#[tokio::test]
async fn nobody_else_takes_up_a_session() {
    let database = Database::chat().await;
    let server = server(&database, &[]).await;
    let mut foreign = claims("user-7");
    foreign["iss"] = json!("elsewhere");
    let made = secret_tokens(&[
        claims("user-7"),
        claims("user-8"),
        foreign,
        claims("anonymous"),
    ])
    .await;
    let session = gone(&server, &database, Some(&made[0])).await;
    for stranger in &made[1..] {
        assert!(!resumes(&server, &session, Some(stranger)).await);
    }
    assert!(
        resumes(&server, &session, Some(&made[0])).await,
        "its owner's it is"
    );
}

#[tokio::test]
async fn sessions_of_before_there_were_tokens_end() {
    let database = Database::chat().await;
    let open = Server::on(&database).await;
    let session = gone(&open, &database, None).await;
    open.stop().await;
    let server = server(&database, &[]).await;
    let made = secret_tokens(&[claims("user-7"), claims("anonymous")]).await;
    for token in &made {
        assert!(!resumes(&server, &session, Some(token)).await);
    }
}
