//! Dumps that are restored, whole and in parts, elsewhere and in place: told once, exact from then on.

use std::time::Duration;

use crate::harness::dump::{dump, restore};
use crate::harness::wait::until_for;
use crate::harness::{Database, Launch, Postgres, Scratch, Server, Stock};

/// The outbox and the epoch of a cluster that is this much older, or younger.
async fn aged(xid: u64) -> Database {
    let database = Database::chat().await;
    let event = "{\"message\": {\"id\": \"old\"}, \"contactId\": \"42\"}";
    database
        .run(&format!(
            "update rowcast.epoch set pruned = '{xid}:{xid}:'; \
             insert into rowcast.events (xid, room, event, data) values ('{xid}', 'conversation:42', 'message:new', '{event}')"
        ))
        .await;
    database.say("42", "of before").await;
    database
}

/// A server on it sends what is written now, nothing of before, and its offsets are good.
async fn is_exact(database: &Database) {
    let server = Server::on(database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let fresh = server.offset("42").await;
    database.say("42", "of now").await;
    let next = client.next().await;
    assert_eq!((&*next.name, next.body()), ("message:new", "of now"));
    let events = server.read("42", &format!("events?after={fresh}")).await;
    assert_eq!(
        events["events"].as_array().map(Vec::len),
        Some(1),
        "{events}"
    );
}

#[tokio::test]
async fn a_dump_of_another_age_is_exact_from_the_first_event_on() {
    // Far ahead of this cluster, and far behind.
    for xid in [90_000_000, 10] {
        let old = aged(xid).await;
        for options in [&[][..], &["-O", "-x"]] {
            let restored = Database::empty().await;
            let whole = dump(&old.url, options).await;
            assert_eq!(restore(&restored.url, whole).await, "");
            is_exact(&restored).await;
        }
    }
}

#[tokio::test]
async fn a_database_that_is_set_back_in_place_gives_no_old_offset_a_wrong_answer() {
    let database = Database::chat().await;
    let before = dump(&database.url, &["--clean"]).await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let client = stock.joined(&server, "42").await;
    database.say("42", "lost").await;
    let offset = server.offset("42").await;
    client.disconnect();
    server.stop().await;
    restore(&database.url, before).await;
    let server = Server::on(&database).await;
    let after = format!("events?after={offset}");
    server.refused("42", &after, 410, "offset_expired").await;
    server.stop().await;
    is_exact(&database).await;
}

#[tokio::test]
async fn data_that_is_copied_over_a_running_server_is_told_once() {
    let old = aged(90_000_000).await;
    for options in [&["-a"][..], &["-a", "--disable-triggers"]] {
        let database = Database::chat().await;
        let server = Server::on(&database).await;
        let stock = Stock::start();
        let mut client = stock.joined(&server, "42").await;
        restore(&database.url, dump(&old.url, options).await).await;
        // Where triggers are on, the copied messages have made events, and the outbox's own rows are refused for their ids.
        if options.len() > 1 {
            client.event("rowcast:resync").await;
        }
        database.say("42", "of now").await;
        let mut bodies = vec![];
        while bodies.last().is_none_or(|last| last != "of now") {
            bodies.push(client.event("message:new").await.body().to_owned());
        }
        assert!(bodies.iter().all(|body| body != "old"), "{bodies:?}");
        assert!(client.arrived("rowcast:resync").is_empty(), "told once");
    }
}

#[tokio::test]
async fn a_schema_without_its_record_says_how_to_start_over() {
    let old = Database::chat().await;
    let restored = Database::empty().await;
    restore(&restored.url, dump(&old.url, &["-s"]).await).await;
    for command in ["migrate", "serve"] {
        Launch::command([command])
            .env("PORT", "0")
            .env("ROWCAST_ADMIN", "")
            .database(&restored.url)
            .refuse(&[
                "without data",
                "drop schema rowcast cascade",
                "rowcast migrate",
            ])
            .await;
    }
    restored.run("drop schema rowcast cascade").await;
    Launch::command(["migrate"])
        .database(&restored.url)
        .succeed()
        .await;
}

#[tokio::test]
async fn the_application_s_schema_alone_is_attached_again() {
    let old = Database::chat().await;
    old.say("42", "of before").await;
    let restored = Database::empty().await;
    let said = restore(&restored.url, dump(&old.url, &["-n", "public"]).await).await;
    assert!(said.contains("schema \"rowcast\" does not exist"), "{said}");
    Launch::command(["migrate"])
        .database(&restored.url)
        .succeed()
        .await;
    restored
        .run(
            "select rowcast.attach('public.messages', room => 'conversation:{contact_id}', on_insert => 'message:new')",
        )
        .await;
    is_exact(&restored).await;
}

/// Apply fires no statement trigger, so nobody would hear of those rows. That is said, and where they are published they are sent.
#[tokio::test]
async fn a_logical_subscriber_sends_nothing_of_what_it_applies_and_says_so() {
    let settings = ["wal_level=logical"];
    let published = Postgres::start_in(Scratch::folder(), &settings).await;
    let subscribed = Postgres::start_in(Scratch::folder(), &settings).await;
    let (there, here) = (published.chat().await, subscribed.chat().await);
    there
        .run("create publication ours for table messages")
        .await;
    there.say("42", "of before").await;
    let server = Server::on(&here).await;
    let at_source = Server::on(&there).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let mut listener = stock.joined(&at_source, "42").await;
    let subscribe = format!(
        "create subscription theirs connection 'host={} user=postgres dbname=postgres' publication ours",
        published.folder().display()
    );
    here.run(&subscribe).await;
    there.say("42", "applied").await;
    until_for(
        Duration::from_secs(30),
        "both rows to be copied",
        async || (here.value("select count(*) from messages").await == "2").then_some(()),
    )
    .await;
    assert_eq!(listener.next().await.body(), "applied");
    let said = until_for(Duration::from_secs(30), "readiness to say so", async || {
        let ready = server.get("/readyz").await;
        (ready.status == 200 && ready.body.contains("theirs")).then_some(ready.body)
    })
    .await;
    assert!(
        said.contains("attach the table where it is published"),
        "{said}"
    );
    // What is written here goes on as ever, and history has all.
    here.say("42", "own").await;
    assert_eq!(client.next().await.body(), "own");
    let page = server.read("42", "messages").await;
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(3), "{page}");
    // A trigger for each row that always fires captures what is applied.
    here.run(
        "select rowcast.attach('messages', room => 'conversation:{contact_id}', on_insert => 'message:new', capture => 'row', always => true)",
    )
    .await;
    there.say("42", "replicated").await;
    assert_eq!(client.next().await.body(), "replicated");
    until_for(
        Duration::from_secs(30),
        "readiness to say no more",
        async || {
            let ready = server.get("/readyz").await;
            (!ready.body.contains("theirs")).then_some(())
        },
    )
    .await;
    here.run("alter subscription theirs disable; alter subscription theirs set (slot_name = none); drop subscription theirs")
        .await;
}
