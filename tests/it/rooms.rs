//! Rooms of any kind: joined, left, resumed and read over HTTP by their whole names.

use serde_json::{Value, json};

use crate::harness::Scene;
use crate::harness::api::{column, encoded};

/// Tickets of teams, in rooms `inbox:<team>`.
async fn scene_of_inboxes() -> Scene {
    let scene = Scene::new().await;
    scene
        .database
        .run(
            "create table tickets (id bigserial primary key, team text not null, body text not null);
             select rowcast.attach('tickets', room => 'inbox:{team}', on_insert => 'message:new')",
        )
        .await;
    scene
}

async fn write(scene: &Scene, team: &str, body: &str) {
    let insert = format!("insert into tickets (team, body) values ('{team}', '{body}')");
    scene.database.run(&insert).await;
}

/// What the API answers for a room.
async fn read(scene: &Scene, room: &str, what: &str) -> Value {
    let path = format!("/api/rooms/{}/{what}", encoded(room));
    let answer = scene.server.get(&path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_room_of_any_kind_is_joined_and_left() {
    let scene = scene_of_inboxes().await;
    let mut client = scene.joined("7").await;
    let answer = client.ask("join:room", json!(["inbox:7"])).await;
    assert_eq!(
        (&answer["ok"], &answer["room"]),
        (&json!(true), &json!("inbox:7"))
    );
    write(&scene, "8", "elsewhere").await;
    write(&scene, "7", "here").await;
    assert_eq!(client.next().await.body(), "here");
    let answer = client.ask("leave:room", json!(["inbox:7"])).await;
    assert_eq!(answer, json!({ "ok": true }));
    write(&scene, "7", "unheard").await;
    // The conversation of the same id is another room.
    scene.database.say("7", "said").await;
    assert_eq!(client.next().await.body(), "said");
}

#[tokio::test]
async fn a_conversation_is_the_room_of_its_name() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let answer = client.ask("join:room", json!(["conversation:42"])).await;
    assert_eq!(
        (&answer["ok"], &answer["replayed"]),
        (&json!(true), &json!(0))
    );
    scene.database.say("42", "once").await;
    assert_eq!(client.next().await.body(), "once");
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn a_page_loads_the_history_of_a_room_and_goes_on_from_there() {
    let scene = scene_of_inboxes().await;
    let mut client = scene.joined("other").await;
    write(&scene, "7", "first").await;
    write(&scene, "8", "elsewhere").await;
    let page = read(&scene, "inbox:7", "messages").await;
    assert_eq!(column(&page["messages"], "/body"), ["first"]);
    let mut watcher = scene.joined("other").await;
    watcher.ask("join:room", json!(["inbox:7"])).await;
    write(&scene, "7", "second").await;
    // Broadcast before the join, so that the join has to replay it.
    assert_eq!(watcher.next().await.body(), "second");
    let join = json!([{ "room": "inbox:7", "after": page["offset"] }]);
    let answer = client.ask("join:room", join).await;
    assert_eq!(answer["replayed"], 1, "{answer}");
    assert_eq!(client.next().await.body(), "second");
    let after = page["offset"].as_str().expect("text");
    let events = read(&scene, "inbox:7", &format!("events?after={after}")).await;
    assert_eq!(column(&events["events"], "/data/message/body"), ["second"]);
}

#[tokio::test]
async fn a_long_poll_of_a_room_is_answered_at_once() {
    let scene = scene_of_inboxes().await;
    let page = read(&scene, "inbox:7", "events").await;
    let after = page["offset"].as_str().expect("text");
    let asked = format!("events?after={after}&wait=25");
    let wait = read(&scene, "inbox:7", &asked);
    let writing = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        write(&scene, "7", "now").await;
    };
    let (events, ()) = tokio::join!(wait, writing);
    assert_eq!(column(&events["events"], "/data/message/body"), ["now"]);
}

#[tokio::test]
async fn a_client_that_comes_back_is_in_its_rooms_again() {
    let scene = scene_of_inboxes().await;
    let mut client = scene.joined("42").await;
    client.ask("join:room", json!(["inbox:7"])).await;
    write(&scene, "7", "before").await;
    assert_eq!(client.next().await.body(), "before");
    client.cut();
    client.disconnected().await;
    write(&scene, "7", "missed").await;
    assert!(client.connected().await, "it is recovered");
    assert_eq!(client.event("message:new").await.body(), "missed");
    write(&scene, "7", "after").await;
    assert_eq!(client.event("message:new").await.body(), "after");
}

#[tokio::test]
async fn who_is_to_reload_is_told_the_whole_name_of_the_room() {
    let scene = scene_of_inboxes().await;
    let mut client = scene.joined("42").await;
    client.emit(
        "join:room",
        json!([{ "room": "inbox:7", "after": "nothing" }]),
    );
    let resync = client.event("rowcast:resync").await;
    let told = resync.payload();
    assert_eq!(
        (&told["room"], &told["contactId"]),
        (&json!("inbox:7"), &json!("7"))
    );
}

#[tokio::test]
async fn a_name_that_is_no_room_is_refused_with_what_is_accepted() {
    let scene = Scene::new().await;
    let client = scene.joined("42").await;
    for (wrong, accepted) in [
        (json!(["lobby"]), "<kind>:<id>"),
        (json!([7]), "<kind>:<id>"),
        (
            json!([{ "contactId": "7" }]),
            "room, after and presence are accepted",
        ),
        (json!(["inbox:"]), "1 to 500 bytes"),
        (
            json!([format!("inbox:{}", "x".repeat(501))]),
            "1 to 500 bytes",
        ),
        (json!(["rowcast:revocations"]), "the servers' own"),
    ] {
        let answer = client.ask("join:room", wrong.clone()).await;
        assert_eq!(answer["error"]["code"], "bad_request", "{wrong}: {answer}");
        let message = answer["error"]["message"].as_str().expect("text");
        assert!(message.contains(accepted), "{wrong}: {message}");
    }
    for wrong in ["lobby", "inbox:", ":7", "rowcast:revocations"] {
        for what in ["messages", "events"] {
            let path = format!("/api/rooms/{}/{what}", encoded(wrong));
            let answer = scene.server.get(&path).await;
            assert_eq!(answer.status, 400, "{path}: {answer:?}");
        }
    }
    // Nobody has attached a table to such rooms.
    let path = format!("/api/rooms/{}/messages", encoded("order:7"));
    let answer = scene.server.get(&path).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.body.contains("a room order:{column}"), "{answer:?}");
}
