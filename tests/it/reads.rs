//! What both reads share: tags, limits, rights, and a database that is away.

use rustix::process::Signal;

use crate::harness::api::column;
use crate::harness::wait::{until, until_for};
use crate::harness::{Postgres, Scene, Server, http};

pub(crate) async fn status(server: &Server, what: &str, tag: &str) -> u16 {
    let answer = server.ask("42", what, &[("if-none-match", tag)]).await;
    if answer.status == 304 {
        assert_eq!(answer.body, "", "{answer:?}");
        assert!(answer.header("etag").is_some(), "{answer:?}");
    }
    answer.status
}

pub(crate) async fn tag(server: &Server, what: &str) -> String {
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

#[tokio::test]
async fn what_is_asked_of_events_wrongly_is_said() {
    let scene = Scene::new().await;
    for (query, word) in [
        ("after=nonsense", "offset"),
        ("after=", "offset"),
        ("after=%00", "offset"),
        ("limit=0", "1 to 2000"),
        ("limit=2001", "1 to 2000"),
        ("wait=26", "0 to 25"),
        ("wait=-1", "0 to 25"),
        ("wait=1s", "0 to 25"),
        ("before=x", "before"),
        ("after=a&after=b", "twice"),
    ] {
        let message = scene
            .server
            .refused("42", &format!("events?{query}"), 400, "bad_request")
            .await;
        assert!(message.contains(word), "{query}: {message}");
    }
}
