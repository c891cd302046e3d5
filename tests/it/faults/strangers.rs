//! Offsets of a time or a database that is not this one: told everywhere in its own way, believed nowhere.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::cluster::{Cluster, with_database};
use crate::harness::postgres::binaries;
use crate::harness::wait::until;
use crate::harness::{Database, Launch, Postgres, Proxy, Scene, Scratch, Server, Stock, http};

/// What each way of coming back answers to an offset that proves nothing.
async fn is_not_believed(server: &Server, stock: &Stock, offset: &Value) {
    let client = stock.connect(server).await;
    let join = json!([{"contactId": "42", "after": offset}]);
    let answer = client.ask("join:conversation", join).await;
    assert_eq!(
        (&answer["ok"], &answer["resync"]),
        (&json!(true), &json!(true)),
        "{answer}"
    );
    assert_eq!(answer["replayed"], 0, "{answer}");
    let offset = offset.as_str().expect("a text");
    let path = format!("/api/conversations/42/events?after={offset}");
    let answer = http::get(server.address(), &path, &[]).await;
    assert_eq!(answer.status, 410, "{answer:?}");
    assert_eq!(
        answer.json()["error"]["code"],
        "offset_expired",
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_offset_before_what_was_pruned_is_not_believed() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "2s")]).await;
    let client = scene.joined("42").await;
    let old = client.join("42").await["offset"].clone();
    scene.database.say("42", "pruned").await;
    until("the outbox to be pruned", async || {
        let left = scene
            .database
            .value("select count(*) from rowcast.events")
            .await;
        (left == "0").then_some(())
    })
    .await;
    // This server may remember it; one that starts now does not.
    let server = Server::with(&scene.database, &[("ROWCAST_RETENTION", "2s")]).await;
    is_not_believed(&server, &scene.stock, &old).await;
    // One of now is.
    let new = client.join("42").await["offset"].clone();
    let answer = client
        .ask(
            "join:conversation",
            json!([{"contactId": "42", "after": new}]),
        )
        .await;
    assert_eq!(answer["resync"], Value::Null, "{answer}");
}

#[tokio::test]
async fn an_offset_is_not_believed_in_a_dump_that_was_restored_elsewhere() {
    let scene = Scene::new().await;
    let client = scene.joined("42").await;
    scene.database.say("42", "before the dump").await;
    let old = client.join("42").await["offset"].clone();
    // Another cluster, as after the loss of a machine.
    let postgres = Postgres::start().await;
    let restored = Database::at(postgres.url());
    restore(&scene.database, &restored).await;
    assert_eq!(restored.value("select count(*) from messages").await, "1");
    let server = Server::on(&restored).await;
    is_not_believed(&server, &scene.stock, &old).await;
}

#[tokio::test]
async fn an_offset_is_not_believed_in_a_dump_that_was_restored_beside_its_database() {
    let scene = Scene::new().await;
    let client = scene.joined("42").await;
    scene.database.say("42", "before the dump").await;
    let copy = Database::empty().await;
    restore(&scene.database, &copy).await;
    // The two go on apart; transactions are counted by the cluster.
    scene.database.say("42", "in the first alone").await;
    copy.say("42", "in the copy alone").await;
    let old = client.join("42").await["offset"].clone();
    let server = Server::on(&copy).await;
    is_not_believed(&server, &scene.stock, &old).await;
}

#[tokio::test]
async fn an_offset_is_not_believed_in_a_copy_of_the_database() {
    let scene = Scene::new().await;
    let client = scene.joined("42").await;
    scene.database.say("42", "before the copy").await;
    let old = client.join("42").await["offset"].clone();
    let original = scene.database.value("select current_database()").await;
    scene.server.stop().await;
    scene.database.pool.close().await;
    let name = format!("copy_{}", std::process::id());
    let maintenance = Database::at(Cluster::shared().url_of("postgres"));
    maintenance
        .run(&format!("create database {name} template {original}"))
        .await;
    {
        let copy = Database::at(with_database(&scene.database.url, &name));
        let server = Server::on(&copy).await;
        copy.say("42", "in the copy alone").await;
        is_not_believed(&server, &scene.stock, &old).await;
    }
    maintenance
        .run(&format!("drop database {name} with (force)"))
        .await;
}

#[tokio::test]
async fn a_client_that_comes_back_to_a_restored_dump_is_told() {
    let scene = Scene::new().await;
    let network = Proxy::to(scene.server.address()).await;
    let mut client = scene
        .stock
        .open(
            network.address(),
            &json!({"transports": ["websocket"]}),
            &[],
        )
        .0;
    client.connected().await;
    client.join("42").await;
    scene.database.say("42", "in the dump").await;
    client.event("message:new").await;
    let postgres = Postgres::start().await;
    let restored = Database::at(postgres.url());
    restore(&scene.database, &restored).await;
    scene.database.say("42", "lost with the machine").await;
    client.event("message:new").await;
    let server = Server::on(&restored).await;
    restored.say("42", "after the restore").await;
    network.lead(server.address());
    network.cut();
    client.disconnected().await;
    assert!(!client.connected().await, "nothing can be proved");
    // Its session came with the dump, and so did the name of its room.
    let resync = client.event("rowcast:resync").await;
    assert_eq!(resync.payload()["contactId"], "42");
}

/// pg_dump of one, restored into the other.
async fn restore(from: &Database, to: &Database) {
    let (pg_dump, psql) = (binaries().join("pg_dump"), binaries().join("psql"));
    if !pg_dump.exists() || !psql.exists() {
        return copy(from, to).await;
    }
    let script = Scratch::folder();
    let file = script.path().join("dump.sql");
    let mut dump = Command::new(pg_dump);
    dump.arg("-f").arg(&file).arg(&from.url);
    // Roles are the cluster's, and a dump names those that its functions run as.
    for role in ["rowcast_capture", "rowcast_policy"] {
        to.run(&format!(
            "do $$ begin create role {role} nologin; exception when duplicate_object then null; end $$"
        ))
        .await;
    }
    let mut load = Command::new(psql);
    load.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &to.url, "-f"])
        .arg(&file);
    for mut command in [dump, load] {
        let done = command.output().expect("it starts");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

/// What a dump carries, where there is no pg_dump: the distributions of Postgres for npm have none.
async fn copy(from: &Database, to: &Database) {
    Launch::command(["migrate", "--chat"])
        .database(&to.url)
        .succeed()
        .await;
    to.run("delete from rowcast.epoch").await;
    for table in ["rowcast.epoch", "rowcast.sessions", "public.messages"] {
        let all = format!("select coalesce(json_agg(t), '[]') from {table} t");
        let rows = from.value(&all).await.replace('\'', "''");
        let load = format!(
            "insert into {table} select * from json_populate_recordset(null::{table}, '{rows}')"
        );
        to.run(&load).await;
    }
}
