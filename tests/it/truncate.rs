//! TRUNCATE: rows go without an event of their own, and whoever may have shown them is told to load the room again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{Client, Proxy, Scene, http};

/// The rooms that a client is told to reload, until the fence.
async fn reloaded(scene: &Scene, client: &mut Client, fence: &str) -> Vec<String> {
    let emit = format!("select rowcast.emit('{fence}', 'fence', '{{}}')");
    scene.database.run(&emit).await;
    let mut rooms = Vec::new();
    loop {
        let event = client.next().await;
        if event.name == "fence" {
            rooms.sort();
            return rooms;
        }
        assert_eq!(event.name, "rowcast:resync", "{event:?}");
        rooms.push(event.payload()["room"].as_str().expect("a room").to_owned());
    }
}

async fn join_room(client: &Client, room: &str) -> Value {
    let answer = client.ask("join:room", json!([room])).await;
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

#[tokio::test]
async fn a_truncate_has_listeners_of_the_sources_rooms_reload_once_and_nobody_else() {
    let scene = Scene::new().await;
    scene
        .database
        .run(
            "create table orders (id int primary key, state text);
             select rowcast.attach('orders', room => 'order:{id}', on_insert => 'order:new')",
        )
        .await;
    let network = Proxy::to(scene.server.address()).await;
    let options = json!({"transports": ["websocket"]});
    let mut away = scene.stock.open(network.address(), &options, &[]).0;
    away.connected().await;
    away.join("42").await;
    join_room(&away, "order:7").await;
    let mut client = scene.joined("42").await;
    client.join("43").await;
    join_room(&client, "order:7").await;
    scene.database.say("42", "gone").await;
    for listener in [&mut client, &mut away] {
        assert_eq!(listener.event("message:new").await.body(), "gone");
    }
    let before = scene.server.offset("42").await;
    network.close(true);
    away.disconnected().await;
    let mut waiting = JoinSet::new();
    let path = format!("/api/conversations/42/events?after={before}&wait=25");
    let address = scene.server.address().to_owned();
    waiting.spawn(async move { http::get(&address, &path, &[]).await });
    scene.server.counted("rowcast_long_polls", &[], 1.0).await;

    scene.database.run("truncate messages cascade").await;
    assert_eq!(
        reloaded(&scene, &mut client, "order:7").await,
        ["conversation:42", "conversation:43"]
    );
    // By HTTP an offset of before is no good in these rooms, also for who waits already.
    let waited = waiting.join_next().await.expect("it was begun");
    assert_eq!(waited.expect("an answer").status, 410);
    let events = |room: &str, after: &str| format!("/api/rooms/{room}/events?after={after}");
    let expired = scene.server.get(&events("conversation:42", &before)).await;
    assert_eq!(expired.status, 410, "{expired:?}");
    let other = scene.server.get(&events("order:7", &before)).await;
    assert_eq!(other.status, 200, "{other:?}");
    // In another room a page of nothing else is no reason to wait.
    scene
        .database
        .run("select rowcast.emit('order:7', 'order:new', '{}')")
        .await;
    let path = events("order:7", &format!("{before}&limit=1&wait=25"));
    let page = timeout(Duration::from_secs(15), scene.server.get(&path)).await;
    let page = page.expect("an answer before the wait is over").json();
    assert_eq!((&page["events"], &page["more"]), (&json!([]), &json!(true)));
    assert_eq!(client.next().await.name, "order:new");
    let fresh = scene.server.offset("42").await;
    let good = scene.server.get(&events("conversation:42", &fresh)).await;
    assert_eq!(good.json()["events"], json!([]), "{good:?}");
    // So with a join.
    client.leave("42").await;
    for (after, resync) in [(&before, json!(true)), (&fresh, json!(null))] {
        let join = json!([{"contactId": "42", "after": after}]);
        let answer = client.ask("join:conversation", join).await;
        assert_eq!(answer["ok"], true, "{answer}");
        assert_eq!(answer["resync"], resync, "{answer}");
        client.leave("42").await;
    }

    // Who was away is told as well, before what came later, and of that room alone.
    scene.database.say("42", "later").await;
    network.close(false);
    assert!(away.connected().await);
    let told = away.event("rowcast:resync").await;
    assert_eq!(told.payload()["room"], "conversation:42", "{told:?}");
    assert_eq!(away.event("message:new").await.body(), "later");
    assert!(away.arrived("rowcast:resync").is_empty());

    // The same by hand, where rows changed behind the events' back.
    // It is on disk before anybody is told, however its writer commits.
    let reload =
        "set synchronous_commit = off; select rowcast.reload('orders'); reset synchronous_commit";
    scene.database.run(reload).await;
    let unsafe_ones =
        "select count(*)::text from rowcast.events where room = 'rowcast:reloads' and not sync";
    assert_eq!(scene.database.value(unsafe_ones).await, "0");
    assert_eq!(
        reloaded(&scene, &mut client, "conversation:43").await,
        ["order:7"]
    );
}

#[tokio::test]
async fn a_truncate_in_a_large_commit_is_told_where_nothing_else_came() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(
            "begin; truncate messages cascade; insert into messages (contact_id, body) select 'large', n::text from generate_series(1, 11000) n;
             commit",
        )
        .await;
    assert_eq!(
        reloaded(&scene, &mut client, "conversation:42").await,
        ["conversation:42"]
    );
    let large = scene.server.metric("rowcast_large_reads_total", &[]).await;
    assert!(large >= 1.0);
}
