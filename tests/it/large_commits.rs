//! A large commit keeps nobody else waiting, and arrives all the same: each event once and in order.

use std::time::Duration;

use serde_json::json;

use crate::harness::database;
use crate::harness::raw::{Wire, offset_of};
use crate::harness::{Scene, Server};

/// More than one read hands over, and more than waits for a client anywhere on the way.
const ROWS: usize = 30_000;
/// Longer than any part of the suite needs on a machine that has other work.
const LONG: Duration = Duration::from_secs(60);

/// One transaction that writes so many messages of the contact `large`, and this before.
async fn import(scene: &Scene, before: &str) {
    let insert =
        "insert into messages (contact_id, body) select 'large', n::text || repeat(' x', 200)";
    let import = format!("{before}; {insert} from generate_series(1, {ROWS}) n");
    scene.database.run(&import).await;
}

fn number(frame: &str) -> Option<String> {
    let (_, body) = frame.split_once("\"body\":\"")?;
    Some(body.split([' ', '"']).next().unwrap_or_default().to_owned())
}

/// The next message on the wire, and its offset.
async fn next(wire: &mut Wire) -> (String, String) {
    let frame = wire.find("a message", |frame| frame.contains("message:new"));
    let frame = frame.await;
    (number(&frame).expect("a body"), offset_of(&frame))
}

#[tokio::test]
async fn other_rooms_do_not_wait_for_a_large_commit() {
    let scene = Scene::new().await;
    let mut other = scene.joined("other").await;
    // This one reads nothing yet, so it can't have had all of it when the other has its event.
    let mut wire = Wire::connect(scene.server.address()).await;
    let joined = wire.ask("join:conversation", &json!(["large"]), 1).await;
    assert_eq!(joined["ok"], true, "{joined}");
    // A row that looks like what has rooms reloaded, and is none.
    let forged = "create table forged (kind text, id text, rooms text);
        select rowcast.attach('forged', room => '{kind}:{id}', on_insert => 'reload', payload => '{\"rooms\": \"{rooms}\"}')";
    scene.database.run(forged).await;
    import(
        &scene,
        "insert into forged values ('rowcast', 'reloads', 'no list')",
    )
    .await;
    scene.database.say("large", "later").await;
    scene.database.say("other", "meanwhile").await;
    assert_eq!(other.next().await.body(), "meanwhile");
    let replayed = scene
        .server
        .metric("rowcast_replayed_events_total", &[])
        .await;
    assert!(
        replayed < ROWS as f64,
        "it came after {replayed} events of the large commit"
    );
    assert_eq!(scene.server.get("/readyz").await.status, 200);
    let large = scene.server.metric("rowcast_large_reads_total", &[]).await;
    assert!(large >= 1.0);
    for expected in 1..=ROWS {
        assert_eq!(next(&mut wire).await.0, expected.to_string());
    }
    assert_eq!(next(&mut wire).await.0, "later");
}

#[tokio::test]
async fn a_client_goes_on_after_any_event_of_a_large_commit_on_any_server() {
    let scene = Scene::new().await;
    let second = Server::on(&scene.database).await;
    let before = scene.server.offset("large").await;
    let mut wire = Wire::connect(scene.server.address()).await;
    wire.ask("join:conversation", &json!(["large"]), 1).await;
    import(&scene, "").await;
    scene.database.say("large", "later").await;
    let mut offset = before.clone();
    for expected in 1..=ROWS / 2 {
        let (body, at) = next(&mut wire).await;
        assert_eq!(body, expected.to_string());
        offset = at;
    }
    drop(wire);
    let mut again = Wire::connect(second.address()).await;
    let join = json!([{"contactId": "large", "after": offset}]);
    again.emit("join:conversation", &join, Some(1)).await;
    for expected in ROWS / 2 + 1..=ROWS {
        assert_eq!(next(&mut again).await.0, expected.to_string());
    }
    assert_eq!(next(&mut again).await.0, "later");
    let answer = again.answer(1).await;
    assert_eq!(answer["replayed"], json!(ROWS / 2 + 1), "{answer}");
}

#[tokio::test]
async fn a_stock_client_in_both_rooms_has_all_of_both_in_order() {
    let scene = Scene::new().await;
    let mut client = scene.joined("large").await;
    client.join("other").await;
    import(&scene, "").await;
    scene.database.say("other", "after the import").await;
    for expected in 1..=ROWS {
        let message = client.event_for(LONG, "message:new").await;
        let number = message.body().split(' ').next();
        assert_eq!(number, Some(expected.to_string().as_str()));
    }
    let last = client.event_for(LONG, "message:new").await;
    assert_eq!(last.body(), "after the import");
    scene.database.say("large", "live again").await;
    assert_eq!(client.next().await.body(), "live again");
}

#[tokio::test]
async fn what_a_room_got_in_very_many_commits_is_replayed_whole_and_in_order() {
    // Some pages.
    const COMMITS: usize = 9_000;
    let scene = Scene::new().await;
    let before = scene.server.offset("large").await;
    // Of all these transactions this is the first, and what it writes comes last.
    let mut first = scene.database.connection().await;
    database::run(&mut first, "begin; select pg_current_xact_id()").await;
    let procedure = "create procedure commit_many(count int) language plpgsql as $$ begin
          for n in 1..count loop
            insert into messages (contact_id, body) values ('large', n::text);
            commit;
          end loop;
        end $$";
    scene.database.run(procedure).await;
    scene
        .database
        .run(&format!("call commit_many({COMMITS})"))
        .await;
    let last = "insert into messages (contact_id, body) values ('large', 'last'); commit";
    database::run(&mut first, last).await;

    let mut wire = Wire::connect(scene.server.address()).await;
    let join = json!([{"contactId": "large", "after": before}]);
    wire.emit("join:conversation", &join, Some(1)).await;
    for expected in 1..=COMMITS {
        assert_eq!(next(&mut wire).await.0, expected.to_string());
    }
    assert_eq!(next(&mut wire).await.0, "last");
    let answer = wire.answer(1).await;
    assert_eq!(answer["replayed"], json!(COMMITS + 1), "{answer}");
}
