//! TRUNCATE: rows go without an event of their own, and whoever may have shown them is told to load the room again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::database::{run, value};
use crate::harness::{Client, Database, Proxy, Scene, http};

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

/// The outbox in its order: which source is reloaded, or the event's name.
async fn told(database: &Database) -> String {
    let events = "select coalesce(string_agg(case when room = 'rowcast:reloads' then data ->> 'source' else event end, ' ' order by id), '')
                  from rowcast.events";
    database.value(events).await
}

#[tokio::test]
async fn a_transaction_has_one_reload_of_a_source_after_all_that_it_covers() {
    let database = Database::chat().await;
    database
        .run(
            "create table a (id int primary key); create table b (id int primary key);
             select rowcast.attach('a', room => 'a:{id}', on_insert => 'a'), rowcast.attach('b', room => 'b:{id}', on_insert => 'b')",
        )
        .await;
    let (mut all, reload) = (
        String::new(),
        "select rowcast.reload('a') from generate_series(1, 1000)",
    );
    for (what, outbox) in [
        (reload, "public.a"),
        (
            "do $$ begin for n in 1 .. 300 loop truncate a; end loop; end $$",
            "public.a",
        ),
        // Each place is that of the last.
        (
            "do $$ begin for n in 1 .. 50 loop insert into a values (n); truncate a, b; end loop; end $$",
            &format!("{}public.a public.b", "a ".repeat(50)),
        ),
        (
            "insert into a values (1); select rowcast.reload('a'); insert into b values (1); select rowcast.reload('a');
             insert into a values (2)",
            "a b public.a a",
        ),
        // Where a part of the transaction did not happen, what was before it did.
        (
            "truncate a; savepoint s; insert into a values (1); truncate a; rollback to s; insert into b values (2)",
            "public.a b",
        ),
        (
            "savepoint s; truncate a; rollback to s; select rowcast.reload('a'); truncate b; truncate a",
            "public.b public.a",
        ),
        // A source that was attached anew has other listeners.
        (
            "select rowcast.reload('a'); select rowcast.attach('a', room => 'c:{id}', on_insert => 'a'); select rowcast.reload('a');
             select rowcast.reload('a')",
            "public.a public.a",
        ),
    ] {
        database.run(&format!("begin; {what}; commit")).await;
        all = format!("{all} {outbox}").trim().to_owned();
        assert_eq!(told(&database).await, all, "{what}");
    }
}

#[tokio::test]
async fn no_setting_of_a_writers_keeps_a_reload_from_anybody() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene.database.say("42", "gone").await;
    assert_eq!(client.event("message:new").await.body(), "gone");
    // What the setting was called, and what it said, is nobody's secret.
    let mut writer = scene.database.connection().await;
    let forge = "select set_config('rowcast.told_to_reload', currval('rowcast.events_id_seq') || ' public.' || t, false)
                 from unnest('{message_statuses,messages}'::text[]) t";
    let insert = "insert into messages (contact_id, body) values ('7', 'x')";
    run(
        &mut writer,
        &format!("{insert}; begin; {forge}; truncate messages cascade; commit"),
    )
    .await;
    assert_eq!(
        reloaded(&scene, &mut client, "conversation:42").await,
        ["conversation:42"]
    );
    // Nor does the moment at which its writer wants to wait for the disk.
    run(
        &mut writer,
        &format!("begin; truncate messages cascade; {insert}; set local synchronous_commit = off; truncate messages cascade;
                  set rowcast.test = ''; select set_config('rowcast.test', current_setting('synchronous_commit'), false); commit"),
    )
    .await;
    let commits = "select current_setting('rowcast.test')";
    assert_eq!(value(&mut writer, commits).await, "local");
}

#[tokio::test]
async fn reloads_that_come_often_are_a_line_of_the_log_now_and_then() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    for _ in 0..30 {
        scene
            .database
            .run("select rowcast.reload('messages')")
            .await;
    }
    assert_eq!(
        reloaded(&scene, &mut client, "conversation:42").await.len(),
        30
    );
    scene.server.stop().await;
    let lines = scene.server.lines();
    let lines = lines
        .iter()
        .filter(|line| line.contains("clients are told to reload"));
    assert!((1..=3).contains(&lines.count()));
}
