//! Presence in the guide: the back end's triggers, and the page.

use std::time::Duration;

use serde_json::json;

use super::frontend::node;
use super::page::{block, blocks};
use super::tools::{Running, folder, write};
use crate::harness::Scene;
use crate::harness::wait::until_for;

#[tokio::test]
async fn triggers_know_who_looks_and_who_has_left() {
    let scene = Scene::with(&[("ROWCAST_PRESENCE", "on")]).await;
    let [look, push, note, later] = blocks("Presence", "sql").try_into().expect("four");
    for made in [&push, &note] {
        scene.database.run(made).await;
    }
    let client = scene.joined("42").await;
    let is_there = format!(
        "select count(*) from ({}) p",
        look.trim().trim_end_matches(';')
    );
    let until = async |count: &str| {
        until_for(
            Duration::from_secs(10),
            format!("{count} in the room"),
            async || (scene.database.value(&is_there).await == count).then_some(()),
        )
        .await;
    };
    until("1").await;
    scene.database.say("42", "seen").await;
    let unseen = scene.database.say("43", "unseen").await;
    client.leave("42").await;
    until("0").await;
    let missed = scene.database.say("42", "missed").await;
    let pushed = "select string_agg(message_id::text, ' ' order by at) from pushes";
    assert_eq!(
        scene.database.value(pushed).await,
        format!("{unseen} {missed}")
    );
    assert_eq!(
        scene
            .database
            .value("select string_agg(room, ' ') from left_rooms")
            .await,
        "conversation:42"
    );
    // As two leave together, and as a server clears up after one that crashed.
    scene
        .database
        .run(
            "insert into rowcast.presence_of_servers (server, id, room, subject, connections, since, version)
                select 7, n, 'conversation:44', n::text, 1, now(), 1 from generate_series(1, 2) n;
             delete from rowcast.presence_of_servers where server = 7;
             delete from left_rooms where room = 'conversation:44'",
        )
        .await;
    let later = later.trim().trim_end_matches(';');
    let taken =
        format!("with taken as ({later}) select coalesce(string_agg(room, ' '), '') from taken");
    assert_eq!(scene.database.value(&taken).await, "", "not yet");
    scene
        .database
        .run("update left_rooms set at = at - interval '10 seconds'")
        .await;
    client.join("42").await;
    until("1").await;
    assert_eq!(scene.database.value(&taken).await, "", "somebody came back");
    client.leave("42").await;
    until("0").await;
    scene
        .database
        .run("update left_rooms set at = at - interval '10 seconds'")
        .await;
    assert_eq!(scene.database.value(&taken).await, "conversation:42");
    assert_eq!(scene.server.readiness(200).await.status, 200);
}

#[tokio::test]
async fn the_stock_client_shows_who_is_there() {
    let scene = Scene::with(&[("ROWCAST_PRESENCE", "on")]).await;
    let folder = folder();
    let code = block("Presence", "js").replace("localhost:3001", scene.server.address());
    write(&folder, "page.mjs", &code);
    let page = Running::start(node(&folder, "page.mjs"));
    let me = page.says("I am anonymous:").await;
    let me = me.trim_start_matches("I am ").to_owned();
    page.says(&me).await;
    let other = scene.stock.connect(&scene.server).await;
    let join = json!([{ "contactId": "42", "presence": true }]);
    let other = other.ask("join:conversation", join).await["subject"].clone();
    let other = other.as_str().expect("a name");
    page.says(&format!("{me}, {other}")).await;
}
