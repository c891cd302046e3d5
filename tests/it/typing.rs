//! Typing: relayed both ways, never stored, over by itself, known to those who come late.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::token::{JWT, token};
use crate::harness::{Client, Scene};

const TTL: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_clients_typing_reaches_the_others_in_the_room() {
    let scene = Scene::new().await;
    let mut ada = scene.joined("42").await;
    let mut bob = scene.joined("42").await;
    let mut eve = scene.joined("43").await;
    for event in ["typing:start", "typing:stop"] {
        assert_eq!(ada.ask(event, json!(["42"])).await["ok"], true);
        let heard = bob.next().await;
        assert_eq!(heard.name, event);
        assert_eq!(
            heard.arguments,
            [json!({"contactId": "42"})],
            "no offset: it is transient"
        );
    }
    // Neither the one who types nor another room heard any of it.
    scene.database.run("select rowcast.emit('conversation:' || c, 'fence', '{}') from unnest('{42,43}'::text[]) c").await;
    assert_eq!(ada.next().await.name, "fence");
    assert_eq!(eve.next().await.name, "fence");
    assert_eq!(
        scene
            .database
            .value("select count(*) from rowcast.events where event like 'typing%'")
            .await,
        "0"
    );
}

#[tokio::test]
async fn with_tokens_it_is_told_who_types() {
    let scene = Scene::with(&JWT).await;
    let mut ada = bearer(&scene, "ada").await;
    let mut bob = bearer(&scene, "bob").await;
    let mut eve = bearer(&scene, "eve").await;
    let by = |subject: &str| [json!({"contactId": "42", "subject": subject})];
    ada.emit("typing:start", json!(["42"]));
    assert_eq!(bob.next().await.arguments, by("ada"));
    assert_eq!(eve.next().await.arguments, by("ada"));
    // One who comes while two type is told of the first of them.
    bob.emit("typing:start", json!(["42"]));
    assert_eq!(ada.next().await.arguments, by("bob"));
    let mut late = bearer(&scene, "late").await;
    let seen = late.next().await;
    assert_eq!(
        (&*seen.name, seen.arguments),
        ("typing:start", by("ada").to_vec())
    );
    ada.emit("typing:stop", json!(["42"]));
    for client in [&mut eve, &mut late] {
        let seen = client.next().await;
        assert_eq!(
            (&*seen.name, seen.arguments),
            ("typing:start", by("bob").to_vec())
        );
    }
    bob.emit("typing:stop", json!(["42"]));
    for client in [&mut ada, &mut eve, &mut late] {
        let seen = client.next().await;
        assert_eq!(
            (&*seen.name, seen.arguments),
            ("typing:stop", vec![json!({"contactId": "42"})])
        );
    }
    // SQL has no token.
    scene.database.run("select rowcast.typing('42')").await;
    assert_eq!(bob.next().await.arguments, [json!({"contactId": "42"})]);
}

/// A client with a token of `subject` that has joined 42.
async fn bearer(scene: &Scene, subject: &str) -> Client {
    let token = token(subject, &json!({ "conversations": ["42"] }));
    let options = json!({ "transports": ["websocket"], "auth": { "token": token } });
    let (mut client, _) = scene.stock.open(scene.server.address(), &options, &[]);
    client.connected().await;
    client.event("rowcast:ready").await;
    client.join("42").await;
    client
}

#[tokio::test]
async fn typing_in_a_room_not_joined_is_refused() {
    let scene = Scene::new().await;
    let mut inside = scene.joined("42").await;
    let mut outside = scene.stock.connect(&scene.server).await;
    let answer = outside.ask("typing:start", json!(["42"])).await;
    assert_eq!(answer["ok"], false, "{answer}");
    assert!(answer["error"]["code"].is_string(), "{answer}");
    outside.emit("typing:start", json!(["42"]));
    assert!(outside.event("rowcast:error").await.payload()["code"].is_string());
    scene.database.say("42", "fence").await;
    assert_eq!(inside.next().await.name, "message:new");
}

#[tokio::test]
async fn sql_typing_reaches_everybody_on_every_server() {
    let scene = Scene::new().await;
    let second = crate::harness::Server::on(&scene.database).await;
    let mut here = scene.joined("42").await;
    let mut there = scene.stock.joined(&second, "42").await;
    for (typing, event) in [("true", "typing:start"), ("false", "typing:stop")] {
        scene
            .database
            .run(&format!("select rowcast.typing('42', {typing})"))
            .await;
        for client in [&mut here, &mut there] {
            let heard = client.next().await;
            assert_eq!(heard.name, event);
            assert_eq!(heard.arguments, [json!({"contactId": "42"})]);
        }
    }
}

#[tokio::test]
async fn typing_of_a_rolled_back_transaction_is_not_told() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run("begin; select rowcast.typing('42', true); rollback")
        .await;
    scene
        .database
        .run("select rowcast.typing('42', true)")
        .await;
    assert_eq!(client.next().await.name, "typing:start");
    scene
        .database
        .run("select rowcast.typing('42', false)")
        .await;
    assert_eq!(client.next().await.name, "typing:stop");
}

#[tokio::test]
async fn typing_stops_by_itself() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let typist = scene.joined("43").await;
    let mut listener = scene.joined("43").await;
    let began = Instant::now();
    scene
        .database
        .run("select rowcast.typing('42', true)")
        .await;
    typist.emit("typing:start", json!(["43"]));
    assert_eq!(client.next().await.name, "typing:start");
    assert_eq!(listener.next().await.name, "typing:start");
    let stopped = client.event_for(TTL * 2, "typing:stop").await;
    assert_eq!(stopped.arguments, [json!({"contactId": "42"})]);
    listener.event_for(TTL * 2, "typing:stop").await;
    let lasted = began.elapsed();
    assert!(
        (TTL - Duration::from_secs(1)..TTL + Duration::from_secs(3)).contains(&lasted),
        "{lasted:?}"
    );
}

#[tokio::test]
async fn who_joins_late_sees_that_a_bot_is_typing() {
    let scene = Scene::new().await;
    let mut early = scene.joined("42").await;
    scene
        .database
        .run("select rowcast.typing('42', true)")
        .await;
    assert_eq!(early.next().await.name, "typing:start");
    let mut late = scene.joined("42").await;
    let seen = late.next().await;
    assert_eq!(seen.name, "typing:start");
    assert_eq!(seen.arguments, [json!({"contactId": "42"})]);
    scene
        .database
        .run("select rowcast.typing('42', false)")
        .await;
    assert_eq!(late.next().await.name, "typing:stop");
    // Who comes after the end sees nothing of it.
    let mut last = scene.joined("42").await;
    scene.database.say("42", "fence").await;
    assert_eq!(last.next().await.name, "message:new");
}

#[tokio::test]
async fn who_disconnects_while_typing_stops_typing() {
    let scene = Scene::new().await;
    let ada = scene.joined("42").await;
    let mut bob = scene.joined("42").await;
    ada.emit("typing:start", json!(["42"]));
    assert_eq!(bob.next().await.name, "typing:start");
    ada.disconnect();
    assert_eq!(bob.next().await.name, "typing:stop");
}

#[tokio::test]
async fn typing_ends_with_the_answer_in_one_transaction_or_two() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let answer =
        "insert into messages (contact_id, direction, body) values ('42', 'outbound', 'Hola')";
    // In two, and then in one: whichever of the two ways is quicker.
    for sql in [
        format!("select rowcast.typing('42'); {answer}"),
        format!("begin; select rowcast.typing('42'); {answer}; commit"),
        format!("begin; select rowcast.typing('42'); {answer}; select pg_sleep(0.05); commit"),
    ] {
        for _ in 0..5 {
            let mut writer = scene.database.connection().await;
            for statement in sql.split("; ") {
                crate::harness::database::run(&mut writer, statement).await;
            }
            let asked = Instant::now();
            let (mut typing, mut answered) = (false, false);
            scene
                .database
                .run("select rowcast.emit('conversation:42', 'fence', '{}')")
                .await;
            loop {
                let event = client.next().await;
                match &*event.name {
                    "typing:start" => typing = true,
                    "typing:stop" => typing = false,
                    "message:new" => answered = true,
                    _ => break,
                }
            }
            // The notification may come after the fence.
            while typing {
                let event = client.next().await;
                typing = event.name != "typing:stop";
            }
            assert!(
                answered && asked.elapsed() < TTL / 2,
                "{sql}: {:?}",
                asked.elapsed()
            );
        }
    }
    // Nobody has answered who writes in.
    scene.database.run("select rowcast.typing('42')").await;
    assert_eq!(client.next().await.name, "typing:start");
    scene.database.say("42", "and?").await;
    assert_eq!(client.next().await.name, "message:new");
    // And who types after an answer types.
    scene.database.run(answer).await;
    assert_eq!(client.next().await.name, "message:new");
    assert_eq!(client.next().await.name, "typing:stop");
    scene.database.run("select rowcast.typing('42')").await;
    assert_eq!(client.next().await.name, "typing:start");
}
