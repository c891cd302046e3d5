//! Starting: which databases are refused and how it is said, migrations, and who may do without which right.

use std::time::Duration;

use crate::harness::cluster::with_database;
use crate::harness::wait::within_for;
use crate::harness::{Database, Launch, Scene, Scratch, Server, Stock};

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let (_, port) = server.address().rsplit_once(':').expect("a port");
    Launch::serve()
        .database(&database.url)
        .env("PORT", port)
        .refuse(&[port])
        .await;
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let database = Database::empty().await;
    let nowhere = with_database(&database.url, "no_such_database");
    for command in [["serve"], ["migrate"]] {
        Launch::command(command)
            .database(&nowhere)
            .refuse(&["no_such_database"])
            .await;
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_reported_and_waited_for() {
    let folder = Scratch::folder();
    let nobody = format!(
        "postgres://app@localhost/app?host={}",
        folder.path().display()
    );
    let server = Launch::serve().database(&nobody).spawn();
    for _ in 0..2 {
        server
            .log("a word about the database", |line| {
                line["level"] == "WARN"
                    && line.to_string().contains(&*folder.path().to_string_lossy())
            })
            .await;
    }
    assert!(server.exited().is_none());
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let database = Database::empty().await;
    let inventory = "select string_agg(object, ' ' order by object) from (
        select oid::regclass::text || xmin::text as object from pg_class where relnamespace = 'rowcast'::regnamespace
        union all select oid::regprocedure::text || xmin::text from pg_proc where pronamespace = 'rowcast'::regnamespace
        union all select tgname || tgrelid::regclass::text || xmin::text from pg_trigger) all_of_it";
    let mut inventories = Vec::new();
    for _ in 0..2 {
        Launch::command(["migrate", "--chat"])
            .database(&database.url)
            .succeed()
            .await;
        inventories.push(database.value(inventory).await);
    }
    assert_eq!(inventories[0], inventories[1]);

    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "once").await;
    database.say("42", "again").await;
    assert_eq!(client.next().await.body(), "once");
    assert_eq!(client.next().await.body(), "again");
}

#[tokio::test]
async fn migrating_without_chat_makes_no_chat_tables() {
    let database = Database::empty().await;
    Launch::command(["migrate"])
        .database(&database.url)
        .succeed()
        .await;
    assert_eq!(
        database
            .value("select to_regclass('public.messages')")
            .await,
        ""
    );
    // And they can come later, beside tables of the owner's.
    database
        .run("create table public._sqlx_migrations (mine int)")
        .await;
    Launch::command(["migrate", "--chat"])
        .database(&database.url)
        .succeed()
        .await;
    assert_eq!(
        database
            .value("select to_regclass('public.messages')")
            .await,
        "messages"
    );
    let sources = database
        .value("select string_agg(s::text, ' ') from rowcast.sources s")
        .await;
    assert!(sources.contains("messages"), "{sources}");
}

#[tokio::test]
async fn servers_that_start_at_once_on_an_empty_database_all_come_up() {
    let database = Database::empty().await;
    let servers: Vec<_> = (0..4)
        .map(|_| Launch::serve().database(&database.url).spawn())
        .collect();
    let stock = Stock::start();
    let mut clients = Vec::new();
    for server in &servers {
        server.ready().await;
        clients.push(stock.joined(server, "42").await);
    }
    database
        .run("select rowcast.emit('conversation:42', 'hello', '{}')")
        .await;
    for client in &mut clients {
        assert_eq!(client.next().await.name, "hello");
    }
}

#[tokio::test]
async fn a_server_that_meets_a_long_transaction_starts_all_the_same() {
    let scene = Scene::new().await;
    let mut open = scene.database.pool.begin().await.expect("a transaction");
    crate::harness::say(&mut *open, "42", "before the start").await;
    let late = within_for(
        Duration::from_secs(20),
        "a server beside a long transaction",
        Server::on(&scene.database),
    )
    .await;
    let mut client = scene.stock.joined(&late, "42").await;
    open.commit().await.expect("it commits");
    assert_eq!(client.next().await.body(), "before the start");
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let database = Database::empty().await;
    let role = database.value("select current_database() || '_app'").await;
    database.run(&format!("create role {role} login; revoke all on database {} from public; grant connect on database {} to {role}", name(&role), name(&role))).await;
    let url = database.url_as(&role);

    // On an empty database: the right to make the schema.
    for command in [["migrate"], ["serve"]] {
        let refused = Launch::command(command)
            .env("PORT", "0")
            .env("ROWCAST_ADMIN", "")
            .database(&url)
            .refuse(&[&role])
            .await;
        assert!(
            refused
                .stderr
                .to_lowercase()
                .contains("grant create on database"),
            "{refused:?}"
        );
    }
    // On a migrated one: the right to use it.
    Launch::command(["migrate", "--chat"])
        .database(&database.url)
        .succeed()
        .await;
    let refused = Launch::serve().database(&url).refuse(&[&role]).await;
    assert!(
        refused.stderr.to_lowercase().contains("grant"),
        "{refused:?}"
    );
    database
        .run(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn a_role_that_may_create_a_schema_needs_nothing_more() {
    let database = Database::empty().await;
    let role = database
        .value("select current_database() || '_owner'")
        .await;
    let name = name(&role);
    database.run(&format!("create role {role} login nosuperuser; grant create, connect on database {name} to {role}; grant create on schema public to {role}")).await;
    let owned = Database::at(database.url_as(&role));
    Launch::command(["migrate", "--chat"])
        .database(&owned.url)
        .succeed()
        .await;
    let server = Server::on(&owned).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    owned.say("42", "hi").await;
    assert_eq!(client.next().await.body(), "hi");

    // A writer needs its own table and nothing of ours.
    let writer = format!("{role}_w");
    database.run(&format!("create role {writer} login; grant usage on schema public to {writer}; grant insert, select on messages to {writer}")).await;
    Database::at(database.url_as(&writer))
        .say("42", "from a writer")
        .await;
    assert_eq!(client.next().await.body(), "from a writer");
    server.stop().await;
    database.run(&format!("drop owned by {writer}; drop role {writer}; drop owned by {role} cascade; drop role {role}")).await;
}

fn name(role: &str) -> &str {
    role.rsplit_once('_').expect("a suffix").0
}
