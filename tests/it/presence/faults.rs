//! Presence while servers, the database and its connections end.

use rustix::process::Signal;

use super::*;
use crate::harness::{Pooler, Postgres, Proxy};
use crate::pooler::TOLERANT;

const BACKEND: &str = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'rowcast presence'";
const STORED: &str = "select coalesce(string_agg(subject, ', ' order by subject), '') from rowcast.presence_of_servers";

/// Two servers, with a watcher at each: ana at the scene's own, and ben.
async fn two_servers() -> (Scene, Server, Client, Client) {
    let scene = Scene::with(&guarded()).await;
    let second = Server::with(&scene.database, &guarded()).await;
    let (mut ana, _) = watcher(&scene.stock, scene.server.address(), "ana").await;
    let (ben, _) = watcher(&scene.stock, second.address(), "ben").await;
    ana.event("presence:join").await;
    sql_says(&scene.database, "ana 1, ben 1").await;
    (scene, second, ana, ben)
}

/// Somebody really leaves, and that is the first leave which the watcher hears.
async fn nobody_has_left(stock: &Stock, address: &str, watcher: &mut Client) {
    let (last, _) = self::watcher(stock, address, "zoe").await;
    watcher.event("presence:join").await;
    last.disconnect();
    let left = watcher.event_for(LEAVE, "presence:leave").await;
    assert_eq!(left.payload()["subject"], "zoe");
}

#[tokio::test]
async fn a_server_that_is_killed_is_gone_from_sql_though_nobody_clears_up() {
    let (scene, second, mut ana, _ben) = two_servers().await;
    scene.server.freeze().await;
    second.crash().await;
    sql_says(&scene.database, "ana 1").await;
    assert_eq!(
        scene.database.value(STORED).await,
        "ana, ben",
        "its row is there"
    );
    scene.server.signal(Signal::CONT);
    let left = ana.event_for(LEAVE, "presence:leave").await;
    assert_eq!(left.payload()["subject"], "ben");
    assert_eq!(scene.database.value(STORED).await, "ana", "and is removed");
}

#[tokio::test]
async fn whoever_moves_to_another_server_has_not_left() {
    let scene = Scene::with(&guarded()).await;
    let second = Server::with(&scene.database, &guarded()).await;
    let way = Proxy::to(second.address()).await;
    let (mut ana, _) = watcher(&scene.stock, scene.server.address(), "ana").await;
    let (mut ben, _) = watcher(&scene.stock, way.address(), "ben").await;
    ana.event("presence:join").await;
    way.lead(scene.server.address());
    second.stop().await;
    ben.disconnected().await;
    assert!(ben.connected().await, "it is recovered");
    let state = ben.event("presence:state").await;
    assert_eq!(
        subjects(state.payload()),
        ["ana", "ben"],
        "as it had asked for there"
    );
    sql_says(&scene.database, "ana 1, ben 1").await;
    nobody_has_left(&scene.stock, scene.server.address(), &mut ana).await;
    assert!(ana.arrived("presence:join").is_empty());
}

#[tokio::test]
async fn a_connection_that_is_lost_takes_no_presence_along() {
    let (scene, _second, mut ana, _ben) = two_servers().await;
    let servers =
        "select string_agg(server::text, ' ' order by server) from rowcast.presence_servers";
    for broken in [
        BACKEND,
        "truncate rowcast.presence_servers, rowcast.presence_of_servers",
    ] {
        let before = scene.database.value(servers).await;
        scene.database.run(broken).await;
        until_for(Duration::from_secs(10), "other servers", async || {
            let now = scene.database.value(servers).await;
            (now != before && now.split(' ').count() == 2).then_some(())
        })
        .await;
        sql_says(&scene.database, "ana 1, ben 1").await;
    }
    nobody_has_left(&scene.stock, scene.server.address(), &mut ana).await;
}

#[tokio::test]
async fn what_happens_while_the_database_is_away_stands_there_afterwards() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::with(&database, &guarded()).await;
    let stock = Stock::start();
    let (mut ana, _) = watcher(&stock, server.address(), "ana").await;
    let (ben, _) = watcher(&stock, server.address(), "ben").await;
    ana.event("presence:join").await;
    sql_says(&database, "ana 1, ben 1").await;
    postgres.crash().await;
    ben.disconnect();
    let left = ana.event_for(LEAVE, "presence:leave").await;
    assert_eq!(left.payload()["subject"], "ben", "it takes no database");
    postgres.up().await;
    sql_says(&database, "ana 1").await;
    let (_cyd, state) = watcher(&stock, server.address(), "cyd").await;
    assert_eq!(subjects(&state), ["ana", "cyd"]);
    server
        .log("presence is kept again", |line| {
            line["message"] == "presence is kept again"
        })
        .await;
}

#[tokio::test]
async fn a_right_that_ends_ends_presence() {
    let scene = Scene::with(&guarded()).await;
    let (mut ana, _) = watcher(&scene.stock, scene.server.address(), "ana").await;
    let (mut ben, _) = watcher(&scene.stock, scene.server.address(), "ben").await;
    ana.event("presence:join").await;
    let revoke = format!("select rowcast.revoke('ben', '{ROOM}')");
    scene.database.run(&revoke).await;
    ben.event("rowcast:left").await;
    sql_says(&scene.database, "ana 1").await;
    let left = ana.event_for(LEAVE, "presence:leave").await;
    assert_eq!(left.payload()["subject"], "ben");
    let (_cyd, _) = watcher(&scene.stock, scene.server.address(), "cyd").await;
    ana.event("presence:join").await;
    let again = json!([{ "contactId": "42", "presence": true }]);
    let answer = ben.ask("join:conversation", again).await;
    assert_eq!(answer["error"]["code"], "forbidden");
    for unseen in ["presence:join", "presence:leave", "presence:state"] {
        assert!(ben.arrived(unseen).is_empty(), "{unseen}");
    }
}

#[tokio::test]
async fn a_lock_that_a_stranger_holds_keeps_nobody() {
    let scene = Scene::with(&[ON]).await;
    let mut stranger = scene.database.connection().await;
    crate::harness::database::run(&mut stranger, "select pg_advisory_lock(77)").await;
    scene
        .database
        .run(&format!(
            "insert into rowcast.presence_servers (server, pid) values (77, 1);
             insert into rowcast.presence_of_servers values (77, 1, '{ROOM}', 'ghost', 1, now(), 1)"
        ))
        .await;
    sql_says(&scene.database, "").await;
    let rows = "select count(*) from rowcast.presence_of_servers";
    assert_eq!(scene.database.value(rows).await, "0");
}

#[tokio::test]
async fn behind_a_pooler_a_server_lives_by_its_word() {
    let (postgres, database) = Postgres::with_chat().await;
    let pooler = Pooler::start(&postgres, "transaction", 8, TOLERANT).await;
    let on_pooler = Database::at(pooler.url());
    let first = Server::with(&on_pooler, &guarded()).await;
    let second = Server::with(&on_pooler, &guarded()).await;
    let stock = Stock::start();
    let (mut ana, _) = watcher(&stock, first.address(), "ana").await;
    let (_ben, state) = watcher(&stock, second.address(), "ben").await;
    assert_eq!(subjects(&state), ["ana", "ben"]);
    assert_eq!(ana.event("presence:join").await.payload()["subject"], "ben");
    sql_says(&database, "ana 1, ben 1").await;
    let locks = "select count(*) from pg_locks where locktype = 'advisory'";
    assert_eq!(database.value(locks).await, "0");
    second.crash().await;
    sql_says(&database, "ana 1").await;
    let left = ana.event_for(LEAVE, "presence:leave").await;
    assert_eq!(left.payload()["subject"], "ben");
}

/// A trigger of somebody's refuses to let go of what a server has left that was killed.
#[tokio::test]
async fn what_cannot_be_cleared_up_takes_no_presence_along() {
    let scene = Scene::with(&guarded()).await;
    let (_ana, _) = watcher(&scene.stock, scene.server.address(), "ana").await;
    sql_says(&scene.database, "ana 1").await;
    let servers =
        "select string_agg(server::text, ' ') from rowcast.presence_servers where server <> 7";
    let own = scene.database.value(servers).await;
    scene
        .database
        .run(
            "create function keep() returns trigger language plpgsql as $$begin raise exception 'they stay'; end$$;
             create trigger keep before delete on rowcast.presence_of_servers for each row when (old.server = 7) execute function keep();
             insert into rowcast.presence_of_servers (server, id, room, subject, connections, since, version)
                values (7, 1, 'conversation:42', 'eve', 1, now(), 1);
             insert into rowcast.presence_servers (server, version) values (7, 1)",
        )
        .await;
    let told = async |what: &str, is_told: bool| {
        until_for(Duration::from_secs(20), what.to_owned(), async || {
            let ready = scene.server.get("/readyz").await;
            (ready.body.contains("they stay") == is_told).then_some(())
        })
        .await;
    };
    told("readiness to say so", true).await;
    let (_ben, _) = watcher(&scene.stock, scene.server.address(), "ben").await;
    sql_says(&scene.database, "ana 1, ben 1").await;
    assert_eq!(scene.database.value(servers).await, own, "it began anew");
    scene
        .database
        .run("drop trigger keep on rowcast.presence_of_servers")
        .await;
    told("readiness to be mended", false).await;
    let left = "select count(*) from rowcast.presence_servers where server = 7";
    assert_eq!(scene.database.value(left).await, "0");
    assert_eq!(scene.database.value(servers).await, own, "it began anew");
}
