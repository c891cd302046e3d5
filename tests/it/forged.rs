//! What other roles notify makes no server act: nobody is shown to type, and no client is cut.

use serde_json::json;

use crate::doctor::Role;
use crate::harness::database::{connection, run, value};
use crate::harness::{Database, Scene, Server, Stock};

/// What a stranger heard on a channel, whose notifications any role can hear.
async fn overheard(listener: &mut sqlx::postgres::PgListener) -> String {
    let heard = crate::harness::wait::within("a notification", listener.try_recv()).await;
    heard
        .expect("a connection")
        .expect("a notification")
        .payload()
        .to_owned()
}

async fn notify(as_role: &Role, channel: &str, payload: &str) {
    let mut theirs = connection(&as_role.url).await;
    let notify = format!(
        "select pg_notify('{channel}', '{}')",
        payload.replace('\'', "''")
    );
    run(&mut theirs, &notify).await;
}

#[tokio::test]
async fn typing_can_not_be_forged_nor_repeated() {
    let scene = Scene::new().await;
    let mallory = Role::bare(&scene.database).await;
    let mut client = scene.joined("42").await;
    let mut ear = sqlx::postgres::PgListener::connect(&mallory.url)
        .await
        .expect("a connection");
    ear.listen("rowcast_typing").await.expect("LISTEN");
    scene
        .database
        .run("select rowcast.typing('42', true)")
        .await;
    assert_eq!(client.next().await.name, "typing:start");
    let genuine = overheard(&mut ear).await;
    scene
        .database
        .run("select rowcast.typing('42', false)")
        .await;
    assert_eq!(client.next().await.name, "typing:stop");
    let bare = json!({"contactId": "42", "typing": true}).to_string();
    let rest = genuine.split_once(' ').expect("a tag").1;
    let forged = [
        bare.clone(),
        genuine.clone(),
        genuine.replace("true", "false"),
        format!("{} {rest}", "0".repeat(32)),
        format!("{} 1 {bare}", "f".repeat(32)),
    ];
    for payload in &forged {
        notify(&mallory, "rowcast_typing", payload).await;
    }
    scene
        .server
        .counted(
            "rowcast_forged_notifications_total",
            &[],
            forged.len() as f64,
        )
        .await;
    scene.database.say("42", "fence").await;
    assert_eq!(client.next().await.name, "message:new");
    let told = scene
        .server
        .lines()
        .iter()
        .filter(|line| line.contains("was not heeded"))
        .count();
    assert_eq!(told, 1, "one line for all of them");
    drop(ear);
    mallory.gone(&scene.database).await;
}

#[tokio::test]
async fn no_client_is_cut_by_a_forged_takeover() {
    let database = Database::chat().await;
    let servers = [Server::on(&database).await, Server::on(&database).await];
    let mallory = Role::bare(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&servers[0], "42").await;
    let mut ear = sqlx::postgres::PgListener::connect(&mallory.url)
        .await
        .expect("a connection");
    ear.listen("rowcast_session").await.expect("LISTEN");
    client.cut();
    client.connected().await;
    let genuine = overheard(&mut ear).await;
    // It resumes again, so what was overheard names an owner of before.
    client.cut();
    client.connected().await;
    let latest = overheard(&mut ear).await;
    let session = "select encode(pid_hash, 'hex') || ':' || owner from rowcast.sessions";
    let before = value(&database.pool, session).await;
    let (pid, _) = before.split_once(':').expect("two parts");
    let bare = format!("{pid}:1");
    assert!(genuine.contains(pid) && genuine != latest);
    for payload in [&bare, &genuine, &format!("{} {bare}", &latest[..49])] {
        notify(&mallory, "rowcast_session", payload).await;
    }
    for server in &servers {
        server
            .counted("rowcast_forged_notifications_total", &[], 3.0)
            .await;
    }
    database.say("42", "still here").await;
    assert_eq!(client.event("message:new").await.body(), "still here");
    // It has not come back: nobody took its session over.
    assert_eq!(value(&database.pool, session).await, before);
    drop(ear);
    mallory.gone(&database).await;
}

#[tokio::test]
async fn nobody_but_servers_knows_the_secret() {
    let database = Database::chat().await;
    let app = Role::granted(&database, ["--attach", "--emit"]).await;
    let server = Role::granted(&database, []).await;
    let attempts = [
        "select key from rowcast.secret",
        "select rowcast.server_secret()",
        "select rowcast.signed('rowcast_typing', '{}')",
    ];
    let mut theirs = connection(&app.url).await;
    for attempt in attempts {
        let done = sqlx::raw_sql(attempt).execute(&mut theirs).await;
        done.expect_err(attempt);
    }
    run(&mut theirs, "select rowcast.typing('42', true)").await;
    let mut servers = connection(&server.url).await;
    assert_eq!(
        value(&mut servers, "select octet_length(rowcast.server_secret())").await,
        "32"
    );
    assert_ne!(
        value(&mut servers, "select rowcast.server_secret()").await,
        {
            let other = Database::chat().await;
            // Of a copy of the template it is the same, until it is drawn anew, as a restore does.
            other.run("refresh materialized view rowcast.secret").await;
            other.value("select rowcast.server_secret()").await
        }
    );
    drop((theirs, servers));
    app.gone(&database).await;
    server.gone(&database).await;
}
