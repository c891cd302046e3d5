//! Rooms of the kind `rowcast:` are what servers tell each other: nobody writes there but `rowcast.revoke`, and nobody hears of it.

use serde_json::json;

use crate::harness::token::{JWT, token};
use crate::harness::{Database, Scene, http};

/// What Postgres says to a statement that fails.
async fn refused(database: &Database, sql: &str) -> String {
    let mut connection = database.connection().await;
    let ran = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection);
    ran.await.expect_err(sql).to_string()
}

#[tokio::test]
async fn emit_and_attach_refuse_rooms_that_are_the_servers_own() {
    let database = Database::chat().await;
    for argument in ["'{}'", "'{}'::json", "'{}'::jsonb"] {
        for room in ["rowcast:revocations", "rowcast:", "rowcast:anything"] {
            let emit = format!("select rowcast.emit('{room}', 'note', {argument})");
            let refused = refused(&database, &emit).await;
            assert!(
                refused.contains(&format!("room \"{room}\" is reserved")),
                "{refused}"
            );
        }
    }
    database.run("create table t (id int primary key)").await;
    for room in ["rowcast:{id}", "rowcast:revocations"] {
        let attach =
            format!("select rowcast.attach('t', room => '{room}', on_insert => 'message:new')");
        let refused = refused(&database, &attach).await;
        assert!(
            refused.contains(&format!("room \"{room}\" is reserved")),
            "{refused}"
        );
    }
    // What only begins like it is somebody else's.
    database
        .run("select rowcast.emit('rowcasts:1', 'note', '{}'); select rowcast.attach('t', room => 'rowcasts:{id}', on_insert => 'message:new')")
        .await;
}

#[tokio::test]
async fn rows_whose_columns_make_such_a_room_are_stored_in_none() {
    let database = Database::chat().await;
    let tables = [
        ("{kind}:{id}", "rowcast", ""),
        ("{kind}{id}", "rowcast:", ""),
        ("row{kind}:{id}", "cast", ""),
        (
            "{kind}:{id}",
            "rowcast",
            r#", rooms => '[{"room": "inbox:{id}", "on_insert": "note"}]'"#,
        ),
    ];
    for (n, (room, kind, more)) in tables.into_iter().enumerate() {
        database
            .run(&format!(
                "create table t{n} (nr int primary key, kind text, id text);
                 select rowcast.attach('t{n}', room => '{room}', on_insert => 'note'{more});
                 insert into t{n} values (1, '{kind}', 'reloads'), (2, '{kind}', 'x'), (3, 'chat:', '7')"
            ))
            .await;
    }
    let counted = "select count(*) filter (where starts_with(room, 'rowcast:')) || ' ' || count(*) filter (where room is null)
        || ' ' || count(*) filter (where data ->> 'reason' like '%kind is rowcast%') || ' ' || count(*) from rowcast.events";
    assert_eq!(
        database.value(counted).await,
        "0 8 8 15",
        "and what is nobody's is sent"
    );
}

#[tokio::test]
async fn nobody_joins_or_reads_such_a_room() {
    for (settings, token) in [(&[][..], None), (&JWT[..], Some(bearer_of_everything()))] {
        let scene = Scene::with(settings).await;
        let options = json!({ "transports": ["websocket"], "auth": { "token": token } });
        let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
        client.connected().await;
        for room in ["rowcast:revocations", "rowcast:anything"] {
            let answer = client.ask("join:room", json!([room])).await;
            assert_eq!(answer["error"]["code"], "bad_request", "{answer}");
            let bearer = format!("Bearer {}", token.as_deref().unwrap_or_default());
            let headers = [("authorization", &*bearer)];
            for what in ["events", "messages"] {
                let path = format!("/api/rooms/{room}/{what}");
                let headers = if token.is_some() { &headers[..] } else { &[] };
                let answer = http::get(scene.server.address(), &path, headers).await;
                assert_eq!(answer.status, 400, "{answer:?}");
            }
        }
        let answer = client.ask("join:room", json!(["rowcasts:1"])).await;
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

fn bearer_of_everything() -> String {
    token("one", &json!({ "rooms": ["*"] }))
}

/// Whoever can write sessions could put a client into any room, but for these.
#[tokio::test]
async fn a_session_that_names_such_a_room_does_not_bring_its_client_there() {
    let scene = Scene::with(&JWT).await;
    let options =
        json!({ "transports": ["websocket"], "auth": { "token": bearer_of_everything() } });
    let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
    client.connected().await;
    client.join("42").await;
    scene.database.say("42", "before").await;
    assert_eq!(client.event("message:new").await.body(), "before");
    scene
        .database
        .run("update rowcast.sessions set rooms = rooms || jsonb_build_object('rowcast:revocations', rooms -> 'conversation:42')")
        .await;
    client.cut();
    assert!(client.connected().await);
    let left = client.event("rowcast:left").await;
    let told = json!({ "room": "rowcast:revocations", "reason": "forbidden" });
    assert_eq!(left.payload(), &told);
    scene
        .database
        .run("select rowcast.revoke('somebody')")
        .await;
    scene.database.say("42", "after").await;
    assert_eq!(client.event("message:new").await.body(), "after");
    assert!(client.arrived("revoked").is_empty());
}
