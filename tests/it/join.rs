//! Joins: never lost, answered in order, honest about what came before.

use serde_json::{Value, json};

use crate::harness::client::only;
use crate::harness::raw::offset_of;
use crate::harness::wait::{until, within};
use crate::harness::{Scene, Wire, database};

#[tokio::test]
async fn a_join_is_answered_with_the_room_and_an_offset() {
    let scene = Scene::new().await;
    let client = scene.stock.connect(&scene.server).await;
    for contact in [
        json!("42"),
        json!(42),
        json!({"contactId": "42"}),
        json!({"contactId": 42}),
    ] {
        let answer = client.ask("join:conversation", json!([contact])).await;
        let offset = answer["offset"].clone();
        assert!(
            offset.as_str().is_some_and(|offset| !offset.is_empty()),
            "{answer}"
        );
        assert_eq!(
            answer,
            json!({"ok": true, "room": "conversation:42", "offset": offset, "replayed": 0})
        );
    }
    assert_eq!(
        client.ask("leave:conversation", json!([42])).await,
        json!({"ok": true})
    );
    assert_eq!(
        client
            .ask("leave:conversation", json!(["never joined"]))
            .await,
        json!({"ok": true})
    );
}

#[tokio::test]
async fn a_thousand_clients_that_join_while_connecting_all_get_the_event() {
    let scene = Scene::new().await;
    let options = json!({"transports": ["websocket"], "reconnection": false, "timeout": 60_000});
    let join = [("join:conversation", json!(["42"]))];
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        clients.push(scene.stock.open(scene.server.address(), &options, &join));
    }
    for (number, (_, answers)) in clients.iter_mut().enumerate() {
        let answer = answers.pop().expect("one join");
        let bound = std::time::Duration::from_secs(60);
        let answer =
            crate::harness::wait::within_for(bound, format!("the ack of client {number}"), answer)
                .await;
        assert_eq!(only(answer)["ok"], true, "client {number}");
    }
    scene.database.say("42", "to all").await;
    for (client, _) in &mut clients {
        assert_eq!(client.event("message:new").await.body(), "to all");
    }
}

#[tokio::test]
async fn what_one_socket_sends_is_handled_in_order() {
    // Each answer depends on what came before it: in one room at most, a second join fails until a leave made room.
    let scene = Scene::with(&[
        ("ROWCAST_MAX_EVENT_RATE", "10000"),
        ("ROWCAST_MAX_ROOMS", "1"),
    ])
    .await;
    let options = json!({"transports": ["websocket"]});
    let mut first = Vec::new();
    for number in 0..80 {
        first.push(("join:conversation", json!([number.to_string()])));
        first.push(("join:conversation", json!(["one too many"])));
        first.push(("leave:conversation", json!([number.to_string()])));
    }
    let (_client, answers) = scene.stock.open(scene.server.address(), &options, &first);
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = only(within(format!("answer {number}"), answer).await);
        assert_eq!(answer["ok"], number % 3 != 1, "answer {number}: {answer}");
    }
}

#[tokio::test]
async fn acks_come_in_the_order_of_the_questions() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "10000")]).await;
    let mut wire = Wire::connect(scene.server.address()).await;
    for ack in 0..200 {
        let (event, argument) = match ack % 4 {
            0 => ("join:conversation", json!(["42"])),
            1 => ("typing:start", json!(["42"])),
            2 => ("join:conversation", json!([{"contactId": []}])),
            _ => ("leave:conversation", json!(["42"])),
        };
        wire.emit(event, &argument, Some(ack)).await;
    }
    for ack in 0..200 {
        let frame = wire.find("an ack", |frame| frame.starts_with("43")).await;
        assert!(
            frame.starts_with(&format!("43{ack}[")),
            "answer {ack} is {frame}"
        );
    }
}

#[tokio::test]
async fn nothing_is_lost_between_the_ack_and_the_first_event() {
    let scene = Scene::with(&[
        ("ROWCAST_MAX_EVENT_RATE", "10000"),
        ("ROWCAST_MAX_ROOMS", "1000"),
    ])
    .await;
    let mut client = scene.stock.connect(&scene.server).await;
    for number in 0..200 {
        let contact = number.to_string();
        client.join(&contact).await;
        scene.database.say(&contact, "right after the ack").await;
        let event = client.next().await;
        assert_eq!(event.payload()["contactId"], json!(contact));
    }
}

#[tokio::test]
async fn a_join_after_the_current_offset_is_continuous() {
    let scene = Scene::new().await;
    let client = scene.stock.connect(&scene.server).await;
    // Any transaction of the cluster moves the present, so it may have moved on between the two questions.
    until("a join after the present", async || {
        let offset = client.join("42").await["offset"].clone();
        let after = json!([{"contactId": "43", "after": offset}]);
        let again = client.ask("join:conversation", after).await;
        assert_eq!(again["ok"], true, "{again}");
        assert_eq!(again["replayed"], 0, "{again}");
        (again["resync"] != true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_join_after_what_cannot_be_proved_is_told_to_resync() {
    let scene = Scene::new().await;
    let mut earlier = scene.joined("42").await;
    let before = earlier.join("42").await["offset"].clone();
    scene.database.say("42", "before").await;
    earlier.event("message:new").await;

    let mut client = scene.joined("42").await;
    scene.database.say("42", "since then").await;
    let newer = client.event("message:new").await;
    let mut tampered = newer.offset().expect("an offset").to_owned();
    let last = if tampered.pop() == Some('A') {
        'B'
    } else {
        'A'
    };
    tampered.push(last);
    let offsets = [
        // It is in the room already, and what it missed before that can't come after what it got since.
        before,
        json!(tampered),
        json!("nonsense"),
        json!(""),
        json!("A".repeat(5_000)),
        json!("🎈"),
    ];
    for after in offsets {
        let answer = client
            .ask(
                "join:conversation",
                json!([{"contactId": "42", "after": after}]),
            )
            .await;
        assert_eq!(answer["ok"], true, "{after}: {answer}");
        assert_eq!(answer["resync"], true, "{after}: {answer}");
        assert!(answer["offset"].as_str().is_some(), "{after}: {answer}");
    }
    let again = json!([{"contactId": "42", "after": newer.offset()}]);
    let answer = client.ask("join:conversation", again).await;
    assert_eq!(answer["resync"], Value::Null, "it has all since: {answer}");
}

#[tokio::test]
async fn bad_arguments_are_answered_on_every_event() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "10000")]).await;
    let mut client = scene.stock.connect(&scene.server).await;
    client.join("42").await;
    for event in [
        "join:conversation",
        "leave:conversation",
        "typing:start",
        "typing:stop",
    ] {
        for arguments in bad_arguments(event) {
            let answer = client.ask(event, arguments.clone()).await;
            assert_bad_request(&answer["error"], event, &arguments);
            assert_eq!(answer["ok"], false, "{event} {arguments}: {answer}");

            client.emit(event, arguments.clone());
            let error = client.next().await;
            assert_eq!(
                error.name, "rowcast:error",
                "{event} {arguments}: {error:?}"
            );
            assert_bad_request(error.payload(), event, &arguments);
            assert_eq!(
                error.arguments.len(),
                1,
                "an error is no place to resume from: {error:?}"
            );
        }
    }
    // It did no harm.
    scene.database.say("42", "still here").await;
    assert_eq!(client.next().await.body(), "still here");
}

#[tokio::test]
async fn a_binary_argument_is_a_bad_request() {
    let scene = Scene::new().await;
    let mut wire = Wire::connect(scene.server.address()).await;
    for (ack, event) in [
        (1, "join:conversation"),
        (2, "typing:start"),
        (3, "whatever"),
    ] {
        wire.send(&format!(
            "451-{ack}[\"{event}\",{{\"_placeholder\":true,\"num\":0}}]"
        ))
        .await;
        wire.send_bytes(vec![1, 2, 3]).await;
        assert_eq!(
            wire.answer(ack).await["error"]["code"],
            "bad_request",
            "{event}"
        );
    }
    assert_eq!(
        wire.ask("join:conversation", &json!(["42"]), 4).await["ok"],
        true
    );
}

#[tokio::test]
async fn an_event_that_nobody_knows_is_a_bad_request() {
    let scene = Scene::new().await;
    let mut client = scene.stock.connect(&scene.server).await;
    for event in ["join", "join:room", "message:new", "rowcast:ready", ""] {
        let answer = client.ask(event, json!(["42"])).await;
        assert_eq!(
            answer["error"]["code"], "bad_request",
            "{event:?}: {answer}"
        );
        client.emit(event, json!(["42"]));
        assert_eq!(
            client.next().await.payload()["code"],
            "bad_request",
            "{event:?}"
        );
    }
}

fn bad_arguments(event: &str) -> Vec<Value> {
    let mut bad = vec![
        json!([]),
        json!([null]),
        json!([true]),
        json!(["42", "43"]),
        json!([4.2]),
        json!([1e300]),
        json!([""]),
        json!(["x".repeat(501)]),
        json!([[]]),
        json!([["42"]]),
        json!([{}]),
        json!([{"contact_id": "42"}]),
        json!([{"contactId": null}]),
        json!([{"contactId": ""}]),
        json!([{"contactId": {"contactId": "42"}}]),
    ];
    if event == "join:conversation" {
        bad.extend([
            json!([{"contactId": "42", "after": 42}]),
            json!([{"contactId": "42", "after": {}}]),
            json!([{"contactId": "42", "after": []}]),
            json!([{"contactId": "42", "after": true}]),
            json!([{"contactId": "42", "affter": "x"}]),
            json!([{"contactId": "42"}, "x"]),
        ]);
    }
    bad
}

fn assert_bad_request(error: &Value, event: &str, arguments: &Value) {
    assert_eq!(error["code"], "bad_request", "{event} {arguments}: {error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{event} {arguments}: {error}");
}

/// The answer says what is missing. Where the connection is lost before the answer, what came since must not pass for all.
#[tokio::test]
async fn a_join_that_left_something_out_and_was_never_answered_is_told_to_whoever_comes_back() {
    let scene = Scene::new().await;
    let unproven = json!([{"contactId": "42", "after": "nothing that we gave"}]);
    let mut wire = Wire::connect(scene.server.address()).await;
    let mut other = scene.database.connection().await;
    database::run(&mut other, "begin; lock table rowcast.sessions").await;
    wire.emit("join:conversation", &unproven, Some(1)).await;
    until("the join to wait for its session", async || {
        let waits = "select count(*) from pg_locks where not granted and relation = 'rowcast.sessions'::regclass";
        (scene.database.value(waits).await != "0").then_some(())
    })
    .await;
    scene.database.say("42", "before the answer").await;
    let event = wire
        .find("the event", |frame| frame.contains("before the answer"))
        .await;
    drop(wire);
    database::run(&mut other, "commit").await;

    let mut again = Wire::connect(scene.server.address()).await;
    let after = json!([{"contactId": "42", "after": offset_of(&event)}]);
    let answer = again.ask("join:conversation", &after, 1).await;
    assert_eq!(answer["resync"], true, "{answer}");
}

#[tokio::test]
async fn a_join_that_left_something_out_and_asked_for_no_answer_is_told_by_an_event() {
    let scene = Scene::new().await;
    let mut wire = Wire::connect(scene.server.address()).await;
    let unproven = json!([{"contactId": "42", "after": "nothing that we gave"}]);
    wire.emit("join:conversation", &unproven, None).await;
    wire.find("the telling", |frame| {
        frame.contains("rowcast:resync") && frame.contains("42")
    })
    .await;
}
