//! Who may read presence, what a server needs to write it, and how a look at one room goes.

use super::*;
use crate::doctor::Role;
use crate::harness::database::{connection, value};

#[tokio::test]
async fn a_server_without_the_rights_says_so_and_lets_everybody_in() {
    let database = Database::chat().await;
    let role = Role::granted(&database, []).await;
    let on_role = Database::at(role.url.clone());
    let server = Server::with(&on_role, &guarded()).await;
    let stock = Stock::start();
    let (_ana, _) = watcher(&stock, server.address(), "ana").await;
    sql_says(&database, "ana 1").await;
    let right = format!("insert on rowcast.presence_of_servers from {}", role.name);
    database.run(&format!("revoke {right}")).await;
    let ben = client_of(&stock, server.address(), "ben").await;
    assert_eq!(join(&ben).await["ok"], true, "events go on");
    let degraded = until_for(Duration::from_secs(20), "readiness to say so", async || {
        let ready = server.get("/readyz").await;
        ready.body.contains("presence").then_some(ready)
    });
    let degraded = degraded.await;
    assert_eq!(degraded.status, 200, "{}", degraded.body);
    database
        .run(&format!(
            "grant insert on rowcast.presence_of_servers to {}",
            role.name
        ))
        .await;
    sql_says(&database, "ana 1, ben 1").await;
    let mended = |line: &Value| line["message"] == "mended: presence works again";
    server.log("it is mended", mended).await;
}

#[tokio::test]
async fn nobody_reads_presence_who_was_not_given_it() {
    let scene = Scene::with(&guarded()).await;
    let (_ana, _) = watcher(&scene.stock, scene.server.address(), "ana").await;
    sql_says(&scene.database, "ana 1").await;
    let role = Role::bare(&scene.database).await;
    let mut theirs = connection(&role.url).await;
    let ask = "select string_agg(subject, ' ') from rowcast.presence";
    let asked = sqlx::query(ask).execute(&mut theirs).await;
    assert!(asked.is_err());
    let grant = format!(
        "grant usage on schema rowcast to {0}; grant select on rowcast.presence to {0}",
        role.name
    );
    scene.database.run(&grant).await;
    assert_eq!(value(&mut theirs, ask).await, "ana");
    for table in [
        "presence_of_servers",
        "presence_servers",
        "presence_departures",
    ] {
        let read = format!("select * from rowcast.{table}");
        let read = sqlx::query(sqlx::AssertSqlSafe(read))
            .execute(&mut theirs)
            .await;
        assert!(read.is_err(), "{table}");
    }
}

#[tokio::test]
async fn one_room_and_one_subject_are_found_by_an_index() {
    let database = Database::chat().await;
    database
        .run(
            "insert into rowcast.presence_servers (server, alive_until) values (1, now() + interval '1 hour');
             insert into rowcast.presence_of_servers select 1, n, 'conversation:' || n % 5000, 's' || n % 1000, 1, now(), 1
             from generate_series(1, 10000) n;
             analyze rowcast.presence_of_servers",
        )
        .await;
    for (condition, index) in [
        ("room = 'conversation:42'", "presence_of_servers_room"),
        ("subject = 's42'", "presence_of_servers_subject"),
    ] {
        let plan = format!(
            "explain (analyze, format json) select from rowcast.presence where {condition}"
        );
        let plan = database.value(&plan).await;
        assert!(plan.contains(index), "{plan}");
    }
    let found = "select string_agg(subject || connections, ' ' order by subject) from rowcast.presence where room = 'conversation:42'";
    assert_eq!(database.value(found).await, "s422", "of two rows");
}
