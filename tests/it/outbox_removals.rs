//! Events that somebody removes by hand, the server running or not: whoever may have missed one is told to load again.

use std::time::Duration;

use crate::harness::wait::until_for;
use crate::harness::{Database, Postgres, Scene, Server, Stock, database};

async fn gone(server: &Server, offset: &str) -> bool {
    let answer = server
        .ask("42", &format!("events?after={offset}"), &[])
        .await;
    assert!(matches!(answer.status, 200 | 410), "{answer:?}");
    answer.status == 410
}

#[tokio::test]
async fn what_is_removed_while_nobody_serves_is_no_silence() {
    for removal in [
        "truncate rowcast.events",
        "delete from rowcast.events",
        "set session_replication_role = replica; delete from rowcast.events; reset session_replication_role",
    ] {
        let database = Database::chat().await;
        let server = Server::on(&database).await;
        let offset = server.offset("42").await;
        server.stop().await;
        database.say("42", "missed").await;
        let mut connection = database.connection().await;
        database::run(&mut connection, removal).await;
        let server = Server::on(&database).await;
        assert!(gone(&server, &offset).await, "{removal}");
        let fresh = server.offset("42").await;
        assert!(
            !gone(&server, &fresh).await,
            "{removal}: later offsets are good"
        );
    }
}

#[tokio::test]
async fn what_is_removed_under_a_server_is_told_once_and_only_to_whom_it_concerns() {
    // A cluster of its own: a transaction of another database's that ends in between may, for all that the server can tell,
    // have written an event that was removed.
    let (_postgres, database) = Postgres::with_chat().await;
    let scene = Scene {
        server: Server::on(&database).await,
        stock: Stock::start(),
        database,
    };
    let mut client = scene.joined("42").await;
    let offset = scene.server.offset("42").await;
    // Nothing is removed.
    scene
        .database
        .run("delete from rowcast.events where false")
        .await;
    assert!(!gone(&scene.server, &offset).await);
    scene.database.say("42", "seen").await;
    client.event("message:new").await;
    scene.database.run("delete from rowcast.events").await;
    assert!(gone(&scene.server, &offset).await);
    // Who had seen it all goes on.
    scene.assert_nothing_more("42", &mut client).await;
    // What is truncated can't be named, so everybody is told.
    scene.database.run("truncate rowcast.events").await;
    client.event("rowcast:resync").await;
    let fresh = until_for(
        Duration::from_secs(10),
        "offsets to be good again",
        async || {
            let fresh = scene.server.offset("42").await;
            (!gone(&scene.server, &fresh).await).then_some(fresh)
        },
    )
    .await;
    scene.database.say("42", "after").await;
    let events = scene
        .server
        .read("42", &format!("events?after={fresh}"))
        .await;
    assert_eq!(
        events["events"].as_array().map(Vec::len),
        Some(1),
        "{events}"
    );
    assert_eq!(client.event("message:new").await.body(), "after");
}
