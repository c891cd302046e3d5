//! What ends with a right, and what does not.

use serde_json::json;

use super::{admitted, everything, guarded, joined, later_token, status, turned_away};
use crate::harness::token::{JWT, token};
use crate::harness::wait::until;
use crate::harness::{Launch, Server};

#[tokio::test]
async fn whoever_is_revoked_is_cut_on_every_server_and_refused_from_then_on() {
    let scene = guarded().await;
    let other = Server::with(&scene.database, &JWT).await;
    let stolen = token("user-7", &everything());
    let mut here = joined(&scene, &scene.server, "user-7", "42").await;
    let mut there = joined(&scene, &other, "user-7", "42").await;
    let mut bystander = joined(&scene, &other, "user-8", "42").await;
    scene.database.run("select rowcast.revoke('user-7')").await;
    for client in [&mut here, &mut there] {
        assert_eq!(client.disconnected().await, "transport close");
        assert_eq!(client.refused().await["message"], "unauthorized");
    }
    scene.database.say("42", "after").await;
    assert_eq!(bystander.event("message:new").await.body(), "after");
    assert!(here.arrived("message:new").is_empty());
    for server in [&scene.server, &other] {
        let told = turned_away(&scene.stock, server, &stolen).await;
        assert_eq!(told, "unauthorized");
        assert_eq!(status(server, "42", &stolen).await, 401);
        server.counted("rowcast_revocations", &[], 1.0).await;
    }
    until("the sessions to be gone", async || {
        let left = "select count(*) from rowcast.sessions where identity like '%user-7%'";
        (scene.database.value(left).await == "0").then_some(())
    })
    .await;
    let fresh = later_token("user-7");
    assert_eq!(status(&other, "42", &fresh).await, 200);
    admitted(&scene.stock, &scene.server, &fresh)
        .await
        .join("42")
        .await;
}

#[tokio::test]
async fn a_room_that_is_closed_is_left_and_the_others_go_on() {
    let scene = guarded().await;
    let mut client = joined(&scene, &scene.server, "user-7", "42").await;
    client.join("43").await;
    scene
        .database
        .run("select rowcast.revoke('user-7', room => 'conversation:42', reason => 'moved on')")
        .await;
    let left = client.event("rowcast:left").await;
    let told = json!({ "room": "conversation:42", "reason": "moved on" });
    assert_eq!(left.payload(), &told);
    scene.database.say("42", "not yours").await;
    scene.database.say("43", "yours").await;
    assert_eq!(client.event("message:new").await.body(), "yours");
    let again = client.ask("join:conversation", json!(["42"])).await;
    assert_eq!(again["error"]["code"], "forbidden", "{again}");
    let page = client.ask("join:conversation", json!(["43"])).await;
    assert_eq!(page["ok"], true);
    let same = token("user-7", &everything());
    assert_eq!(status(&scene.server, "42", &same).await, 403);
    assert_eq!(status(&scene.server, "43", &same).await, 200);
    // It comes back to what is left of its rooms.
    client.cut();
    assert!(client.connected().await);
    scene.database.say("42", "not yours").await;
    scene.database.say("43", "more").await;
    assert_eq!(client.event("message:new").await.body(), "more");
}

/// Python's `time.time()` has a fraction, and back ends put it into `iat` as it is.
#[tokio::test]
async fn a_token_that_says_its_time_of_issue_with_a_fraction_is_of_that_second() {
    let scene = guarded().await;
    scene.database.run("select rowcast.revoke('user-7')").await;
    scene.server.counted("rowcast_revocations", &[], 1.0).await;
    let at = "select floor(extract(epoch from revoked_at)) from rowcast.revocations";
    let at: f64 = scene.database.value(at).await.parse().expect("seconds");
    for (issued, answer) in [(at, 401), (at + 0.4, 401), (at + 0.9, 401), (at + 1.0, 200)] {
        let claims = json!({ "conversations": "*", "iat": issued });
        let token = token("user-7", &claims);
        assert_eq!(
            status(&scene.server, "42", &token).await,
            answer,
            "{issued}"
        );
    }
}

#[tokio::test]
async fn a_revocation_holds_though_no_server_ran_and_its_event_is_gone() {
    let mut scene = guarded().await;
    let stolen = token("user-7", &everything());
    let mut client = joined(&scene, &scene.server, "user-7", "42").await;
    let mut partly = joined(&scene, &scene.server, "user-8", "42").await;
    scene.server.crash().await;
    for client in [&mut client, &mut partly] {
        client.disconnected().await;
    }
    scene
        .database
        .run("select rowcast.revoke('user-7'); select rowcast.revoke('user-8', 'conversation:42'); delete from rowcast.events")
        .await;
    let address = scene.server.address().to_owned();
    let port = address.rsplit(':').next().expect("a port").to_owned();
    let all: Vec<_> = JWT.into_iter().chain([("PORT", &*port)]).collect();
    scene.server = Server::with(&scene.database, &all).await;
    // Its own client, and whoever has its token.
    loop {
        let told = client.refused().await["message"].clone();
        if told == "unauthorized" {
            break;
        }
    }
    assert_eq!(
        turned_away(&scene.stock, &scene.server, &stolen).await,
        "unauthorized"
    );
    partly.connected().await;
    let join = partly.ask("join:conversation", json!(["42"])).await;
    assert_eq!(join["error"]["code"], "forbidden", "{join}");
}

#[tokio::test]
async fn only_who_was_granted_it_may_revoke_and_nobody_can_forge_it() {
    let scene = guarded().await;
    let mut client = joined(&scene, &scene.server, "user-7", "42").await;
    let forged = r#"{"subject":"user-7","issuer":null,"room":null,"at":9999999999,"reason":null}"#;
    scene
        .database
        .run(&format!(
            "insert into rowcast.events (room, event, data) values ('rowcast:revocations', 'revoked', '{forged}')"
        ))
        .await;
    scene.database.say("42", "still here").await;
    assert_eq!(client.event("message:new").await.body(), "still here");

    let role = format!("revoker_{}", std::process::id());
    scene
        .database
        .run(&format!(
            "create role {role}; grant usage on schema rowcast to {role}"
        ))
        .await;
    let allowed = format!(
        "select has_function_privilege('{role}', 'rowcast.revoke(text, text, text, text)', 'execute')"
    );
    assert_eq!(scene.database.value(&allowed).await, "f");
    let grant = Launch::command(["grant", &role, "--revoke", "--apply"]);
    grant.database(&scene.database.url).succeed().await;
    assert_eq!(scene.database.value(&allowed).await, "t");
    scene
        .database
        .run(&format!("drop owned by {role}; drop role {role}"))
        .await;
    client.join("43").await;
}
