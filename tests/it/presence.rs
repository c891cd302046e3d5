//! Who is in which room: in SQL, and for clients that ask; on every server, however connections and servers end.

mod at_scale;
mod faults;
mod rights;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::token::{JWT, token};
use crate::harness::wait::until_for;
use crate::harness::{Client, Scene, Server, Stock};

const ON: (&str, &str) = ("ROWCAST_PRESENCE", "on");
const ROOM: &str = "conversation:42";
/// A leave is told 5 s after the connection ended; a machine that is busy takes longer.
const LEAVE: Duration = Duration::from_secs(20);

/// Servers that ask for tokens, and keep presence.
fn guarded() -> Vec<(&'static str, &'static str)> {
    JWT.into_iter().chain([ON]).collect()
}

/// A client of a subject that is in no room yet.
async fn client_of(stock: &Stock, address: &str, subject: &str) -> Client {
    let token = token(subject, &json!({ "conversations": "*" }));
    let options = json!({
        "transports": ["websocket"], "auth": { "token": token }, "reconnectionDelay": 50, "reconnectionDelayMax": 100
    });
    let mut client = stock.open(address, &options, &[]).0;
    client.connected().await;
    client.event("rowcast:ready").await;
    client
}

/// Joins the conversation 42, and asks who is there.
async fn join(client: &Client) -> Value {
    let join = json!([{ "contactId": "42", "presence": true }]);
    let answer = client.ask("join:conversation", join).await;
    assert_eq!(answer["ok"], true, "{answer}");
    answer
}

/// A client that is told who is in the conversation 42, and has the list.
async fn watcher(stock: &Stock, address: &str, subject: &str) -> (Client, Value) {
    let mut client = client_of(stock, address, subject).await;
    assert_eq!(join(&client).await["presence"], true);
    let state = client.event("presence:state").await;
    (client, state.payload().clone())
}

/// The subjects of a list.
fn subjects(state: &Value) -> Vec<&str> {
    let listed = state["subjects"].as_array().expect("a list");
    let named = listed.iter().map(|one| one["subject"].as_str());
    let mut named: Vec<_> = named.map(|name| name.expect("a subject")).collect();
    named.sort_unstable();
    named
}

/// Who is in the room, as SQL says: subjects with their connections.
async fn in_sql(database: &Database) -> String {
    let sql = format!(
        "select coalesce(string_agg(subject || ' ' || connections, ', ' order by subject), '') from rowcast.presence where room = '{ROOM}'"
    );
    database.value(&sql).await
}

/// Waits until SQL says so, for a second and what a busy machine needs.
async fn sql_says(database: &Database, expected: &str) {
    until_for(
        Duration::from_secs(10),
        format!("rowcast.presence: {expected:?}"),
        async || (in_sql(database).await == expected).then_some(()),
    )
    .await;
}

#[tokio::test]
async fn whoever_comes_and_goes_is_told_on_every_server_and_stands_in_sql() {
    let scene = Scene::with(&guarded()).await;
    let second = Server::with(&scene.database, &guarded()).await;
    let (mut ana, state) = watcher(&scene.stock, scene.server.address(), "ana").await;
    assert_eq!(state["room"], ROOM);
    assert_eq!(
        (subjects(&state), &state["count"]),
        (vec!["ana"], &json!(1))
    );
    sql_says(&scene.database, "ana 1").await;

    let (mut ben, state) = watcher(&scene.stock, second.address(), "ben").await;
    assert_eq!(subjects(&state), ["ana", "ben"], "also of the other server");
    let joined = ana.event("presence:join").await;
    assert_eq!(joined.payload()["subject"], "ben");
    assert_eq!(joined.payload()["room"], ROOM);
    let since = joined.payload()["since"].as_str().expect("a time");
    let listed = &state["subjects"].as_array().expect("a list")[1];
    assert_eq!(listed["since"], since, "everybody is told the same time");
    assert_eq!(joined.arguments.len(), 1, "no offset");
    let stored = format!(
        "select since = '{since}'::timestamptz from (select date_trunc('milliseconds', since) as since from rowcast.presence where subject = 'ben') p"
    );
    assert_eq!(scene.database.value(&stored).await, "t");

    // A second connection of the same subject is nobody else.
    let (mut again, _) = watcher(&scene.stock, scene.server.address(), "ben").await;
    sql_says(&scene.database, "ana 1, ben 2").await;
    ben.leave("42").await;
    sql_says(&scene.database, "ana 1, ben 1").await;
    again.leave("42").await;
    sql_says(&scene.database, "ana 1").await;
    let left = ana.event_for(LEAVE, "presence:leave").await;
    assert_eq!(
        *left.payload(),
        json!({ "room": ROOM, "subject": "ben", "since": since })
    );
    assert!(ana.arrived("presence:join").is_empty(), "ben joined once");
    assert!(
        ben.arrived("presence:leave").is_empty(),
        "ben has left the room"
    );
    assert!(again.arrived("presence:leave").is_empty());
}

#[tokio::test]
async fn a_connection_that_comes_back_soon_has_neither_left_nor_joined() {
    let scene = Scene::with(&guarded()).await;
    let (mut ana, _) = watcher(&scene.stock, scene.server.address(), "ana").await;
    let (mut ben, _) = watcher(&scene.stock, scene.server.address(), "ben").await;
    ana.event("presence:join").await;
    for _ in 0..3 {
        ben.cut();
        ben.disconnected().await;
        assert!(ben.connected().await, "it is recovered");
        // The list comes again, for whoever has thrown it away.
        let state = ben.event("presence:state").await;
        assert_eq!(subjects(state.payload()), ["ana", "ben"]);
    }
    // Somebody who really leaves, later: by then a leave of ben's would have come.
    let (cyd, _) = watcher(&scene.stock, scene.server.address(), "cyd").await;
    assert_eq!(ana.event("presence:join").await.payload()["subject"], "cyd");
    cyd.disconnect();
    let left = ana.event_for(LEAVE, "presence:leave").await;
    assert_eq!(left.payload()["subject"], "cyd", "and not ben");
    assert!(ana.arrived("presence:join").is_empty());
    sql_says(&scene.database, "ana 1, ben 1").await;
}

#[tokio::test]
async fn without_tokens_each_session_is_somebody() {
    let scene = Scene::with(&[ON]).await;
    let mut ana = scene.stock.connect(&scene.server).await;
    let me = join(&ana).await["subject"].clone();
    let state = ana.event("presence:state").await;
    assert_eq!(subjects(state.payload()), [me.as_str().expect("a name")]);
    assert!(me.as_str().is_some_and(|me| me.starts_with("anonymous:")));
    let ben = scene.stock.connect(&scene.server).await;
    let other = join(&ben).await["subject"].clone();
    assert_ne!(me, other);
    assert_eq!(ana.event("presence:join").await.payload()["subject"], other);
    ben.cut();
    assert!({
        let mut ben = ben;
        ben.disconnected().await;
        ben.connected().await
    });
    let answer = ana.ask(
        "join:conversation",
        json!([{ "contactId": "42", "presence": true }]),
    );
    assert_eq!(answer.await["subject"], me, "it stays the same");
    assert!(
        ana.arrived("presence:join").is_empty(),
        "after a resume, too"
    );
}

#[tokio::test]
async fn a_server_that_keeps_no_presence_says_so_and_lets_in() {
    let scene = Scene::new().await;
    let client = scene.stock.connect(&scene.server).await;
    let join = json!([{ "contactId": "42", "presence": true }]);
    let answer = client.ask("join:conversation", join).await;
    assert_eq!(
        (&answer["ok"], &answer["presence"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(answer["subject"], Value::Null);
    let answer = client.ask(
        "join:conversation",
        json!([{ "contactId": "43", "presence": 1 }]),
    );
    assert_eq!(answer.await["error"]["code"], "bad_request");
    let held = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'rowcast presence'";
    assert_eq!(scene.database.value(held).await, "0", "nor a connection");
    let rows = "select count(*) from rowcast.presence_servers";
    assert_eq!(scene.database.value(rows).await, "0");
}

#[tokio::test]
async fn whoever_asks_no_more_is_told_no_more() {
    let scene = Scene::with(&guarded()).await;
    let (mut ana, _) = watcher(&scene.stock, scene.server.address(), "ana").await;
    let stop = json!([{ "contactId": "42", "presence": false }]);
    let answer = ana.ask("join:conversation", stop).await;
    assert_eq!(
        (&answer["ok"], &answer["presence"]),
        (&json!(true), &Value::Null)
    );
    let (mut ben, state) = watcher(&scene.stock, scene.server.address(), "ben").await;
    assert_eq!(subjects(&state), ["ana", "ben"], "it counts as before");
    let (_cyd, _) = watcher(&scene.stock, scene.server.address(), "cyd").await;
    assert_eq!(ben.event("presence:join").await.payload()["subject"], "cyd");
    scene.assert_nothing_more("42", &mut ana).await;
}
