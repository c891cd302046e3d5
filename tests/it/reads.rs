//! What both reads share: tags, limits, rights, and a database that is away.

use rustix::process::Signal;

use crate::harness::api::column;
use crate::harness::wait::{until, until_for};
use crate::harness::{Database, Postgres, Scene, Server, http};

async fn status(server: &Server, what: &str, tag: &str) -> u16 {
    let answer = server.ask("42", what, &[("if-none-match", tag)]).await;
    if answer.status == 304 {
        assert_eq!(answer.body, "", "{answer:?}");
        assert!(answer.header("etag").is_some(), "{answer:?}");
    }
    answer.status
}

async fn tag(server: &Server, what: &str) -> String {
    let answer = server.ask("42", what, &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    answer.header("etag").expect("a tag").to_owned()
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let scene = Scene::new().await;
    let after = scene.server.offset("42").await;
    scene.database.say("42", "one").await;
    let events = format!("events?after={after}");
    let empty = format!("events?after={}", scene.server.offset("42").await);
    for what in ["messages", "messages?limit=7", &events, &empty] {
        let tag = tag(&scene.server, what).await;
        scene.database.say("43", "moves the snapshot only").await;
        for known in [
            tag.clone(),
            "*".to_owned(),
            format!("\"x\", {tag}"),
            tag.replace("W/", ""),
        ] {
            assert_eq!(
                status(&scene.server, what, &known).await,
                304,
                "{what}: {known}"
            );
        }
        for strange in ["\"x\"", "", "W/\"\""] {
            assert_eq!(
                status(&scene.server, what, strange).await,
                200,
                "{what}: {strange}"
            );
        }
        assert_eq!(
            status(&scene.server, "messages?limit=9", &tag).await,
            200,
            "another question"
        );
    }
    let tags = [
        tag(&scene.server, "messages").await,
        tag(&scene.server, &events).await,
        tag(&scene.server, &empty).await,
    ];
    scene.database.say("42", "two").await;
    for (what, tag) in ["messages", &events, &empty].iter().zip(&tags) {
        assert_eq!(status(&scene.server, what, tag).await, 200, "{what}");
    }
    // A crash of the database may make the offset of the old answer worthless.
    let before = tag(&scene.server, "messages").await;
    scene
        .database
        .run("update rowcast.epoch set recovered = recovered || 3::bigint")
        .await;
    assert_eq!(status(&scene.server, "messages", &before).await, 200);
}

#[tokio::test]
async fn a_tag_changes_before_its_offset_expires() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "4s")]).await;
    scene.database.say("42", "one").await;
    let old = tag(&scene.server, "messages").await;
    until("the tag to change", async || {
        (tag(&scene.server, "messages").await != old).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_long_poll_waits_for_what_the_client_does_not_have() {
    let scene = Scene::with(&[("ROWCAST_POLL", "1h")]).await;
    let after = scene.server.offset("42").await;
    scene.database.say("42", "one").await;
    let what = format!("events?after={after}&wait=20");
    let known = tag(&scene.server, &what).await;
    let headers = [("if-none-match", &*known)];
    let poll = scene.server.ask("42", &what, &headers);
    let write = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        scene.database.say("42", "two").await;
    };
    let (answer, ()) = tokio::join!(poll, write);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        column(&answer.json()["events"], "/data/message/body"),
        ["one", "two"]
    );
    let known = answer.header("etag").expect("a tag").to_owned();
    let short = what.replace("20", "1");
    assert_eq!(
        status(&scene.server, &short, &known).await,
        200,
        "another question"
    );
    let known = tag(&scene.server, &short).await;
    assert_eq!(status(&scene.server, &short, &known).await, 304);
}

#[tokio::test]
async fn an_address_may_ask_so_often() {
    let scene = Scene::with(&[("ROWCAST_MAX_HTTP_RATE", "5")]).await;
    let asked = (0..40).map(|_| scene.server.ask("42", "messages", &[]));
    let answers = futures_util::future::join_all(asked).await;
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert!(
        (20..=35).contains(&refused.len()),
        "{} of 40 at 5 a second",
        refused.len()
    );
    for answer in refused {
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "too_many_requests");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    scene
        .server
        .counted("rowcast_limits_total", &["http_rate"], 20.0)
        .await;
    scene
        .server
        .counted("rowcast_http_requests_total", &["/messages", "429"], 20.0)
        .await;
    // Health and sockets are not counted, and a second later all is as before.
    assert_eq!(scene.server.get("/livez").await.status, 200);
    scene.joined("42").await;
    until("an answer", async || {
        (scene.server.ask("42", "events", &[]).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_page_of_a_strange_origin_gets_nothing() {
    let scene = Scene::with(&[("FRONTEND_URL", "https://app.example.com")]).await;
    for what in ["messages", "events"] {
        let ours = scene
            .server
            .ask("42", what, &[("origin", "https://app.example.com")])
            .await;
        assert_eq!(ours.status, 200);
        assert_eq!(
            ours.header("access-control-allow-origin"),
            Some("https://app.example.com")
        );
        assert!(
            ours.header("access-control-expose-headers")
                .is_some_and(|names| names.contains("etag")),
            "{ours:?}"
        );
        let theirs = scene
            .server
            .ask("42", what, &[("origin", "https://evil.example.com")])
            .await;
        assert_eq!(theirs.status, 403, "{theirs:?}");
        assert_eq!(theirs.json()["error"]["code"], "forbidden");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_said_and_comes_back() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let after = server.offset("42").await;
    database.say("42", "before").await;
    let events = format!("events?after={after}");
    postgres.down(Signal::INT).await;
    for what in ["messages", "events", &events] {
        server.refused("42", what, 503, "unavailable").await;
    }
    postgres.up().await;
    until_for(
        std::time::Duration::from_secs(20),
        "history again",
        async || (server.ask("42", "messages", &[]).await.status == 200).then_some(()),
    )
    .await;
    assert_eq!(
        column(
            &server.read("42", &events).await["events"],
            "/data/message/body"
        ),
        ["before"]
    );
}

#[tokio::test]
async fn a_missing_grant_is_for_the_operator_to_read() {
    let database = Database::chat().await;
    let role = database
        .value("select current_database() || '_server'")
        .await;
    let docs = include_str!("../../docs/sql.md");
    let documented: String = docs
        .lines()
        .skip_while(|line| !line.starts_with("-- the role of `rowcast serve`"))
        .take_while(|line| !line.starts_with("-- a back end whose own"))
        .filter(|line| !line.contains("wa_messages"))
        .map(|line| line.replace("rowcast_server", &role) + "\n")
        .collect();
    assert!(documented.matches("grant").count() > 5, "{documented}");
    database
        .run(&format!("create role {role} login; {documented}"))
        .await;
    let server = Server::on(&Database::at(database.url_as(&role))).await;
    database.say("42", "hi").await;
    let message = server.refused("42", "messages", 503, "unavailable").await;
    assert!(
        !message.contains("messages") && !message.contains("grant"),
        "{message}"
    );
    let grant = format!("grant select on public.messages to \"{role}\"");
    server
        .log("the grant", |line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains(&grant))
        })
        .await;
    database.run(&grant).await;
    let page = server.read("42", "messages").await;
    assert_eq!(column(&page["messages"], "/body"), ["hi"]);
    server.offset("42").await;
    server.stop().await;
    database
        .run(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn errors_are_json_on_every_path_of_the_api() {
    let scene = Scene::new().await;
    for (path, expected) in [
        ("/api", "not_found"),
        ("/api/conversations/42", "not_found"),
        ("/api/conversations/42/messages/", "not_found"),
        ("/api/conversations//messages", "bad_request"),
        ("/api/conversations/42/events?x", "bad_request"),
    ] {
        let answer = http::get(scene.server.address(), path, &[]).await;
        assert_eq!(
            answer.json()["error"]["code"],
            expected,
            "{path}: {answer:?}"
        );
    }
}
