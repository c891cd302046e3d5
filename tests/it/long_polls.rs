//! Long-polls: answered at once, cheap while they wait, and ended when they should be.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::api::column;
use crate::harness::wait::{until, within};
use crate::harness::{Scene, Server};
use crate::reads::{status, tag};

const BUSY: (&str, &str) = ("ROWCAST_MAX_HTTP_RATE", "100000");
/// No poll within a test's time: what is delivered was notified.
const NO_POLL: (&str, &str) = ("ROWCAST_POLL", "1h");

#[tokio::test]
async fn a_long_poll_is_answered_at_once() {
    let scene = Scene::with(&[NO_POLL]).await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let poll = scene.server.read("42", &asked);
    let write = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        scene.database.say("43", "elsewhere").await;
        scene.database.say("42", "now").await;
        Instant::now()
    };
    let (page, written) = tokio::join!(async { (poll.await, Instant::now()) }, write);
    let ((page, answered), took) = (page, |answered: Instant| {
        answered.saturating_duration_since(written)
    });
    assert_eq!(column(&page["events"], "/data/message/body"), ["now"]);
    assert!(
        took(answered) < Duration::from_secs(2),
        "{:?}",
        took(answered)
    );
    // What is there already is not waited for.
    let begun = Instant::now();
    scene.server.read("42", &asked).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_long_poll_ends_empty_and_goes_on() {
    let scene = Scene::new().await;
    let after = scene.server.offset("42").await;
    let begun = Instant::now();
    let page = scene
        .server
        .read("42", &format!("events?after={after}&wait=1"))
        .await;
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (&page["events"], &page["more"]),
        (&json!([]), &json!(false))
    );
    scene.database.say("42", "later").await;
    let after = page["offset"].as_str().expect("text");
    let page = scene
        .server
        .read("42", &format!("events?after={after}&wait=25"))
        .await;
    assert_eq!(column(&page["events"], "/data/message/body"), ["later"]);
}

#[tokio::test]
async fn many_long_polls_hold_no_connection_and_all_are_answered() {
    const MANY: usize = 300;
    let scene = Scene::with(&[BUSY, NO_POLL]).await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let polls = futures_util::future::join_all((0..MANY).map(|_| scene.server.read("42", &asked)));
    let write = async {
        scene
            .server
            .counted("rowcast_long_polls", &[], MANY as f64)
            .await;
        // Nobody reads while they wait.
        let at_work = "select count(*) from pg_stat_activity where application_name = 'rowcast http' and datname = current_database() and (state <> 'idle' or state_change > now() - interval '200 ms')";
        until("the reads to rest", async || {
            (scene.database.value(at_work).await == "0").then_some(())
        })
        .await;
        scene.database.say("42", "now").await;
    };
    let (pages, ()) = tokio::join!(polls, write);
    for page in pages {
        assert_eq!(column(&page["events"], "/data/message/body"), ["now"]);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_waits_no_more() {
    let scene = Scene::new().await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let waiting = async {
        tokio::select! {
            page = scene.server.read("42", &asked) => panic!("answered: {page}"),
            () = scene.server.counted("rowcast_long_polls", &[], 1.0) => {}
        }
    };
    waiting.await;
    until("the wait to be given up", async || {
        (scene.server.metric("rowcast_long_polls", &[]).await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drain_ends_long_polls() {
    let scene = Scene::new().await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let poll = scene.server.read("42", &asked);
    let stop = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        within("the server to stop", scene.server.stop()).await;
    };
    let (page, ()) = tokio::join!(poll, stop);
    assert_eq!(page["events"], json!([]));
    // And another server goes on from there.
    let next = Server::on(&scene.database).await;
    scene.database.say("42", "meanwhile").await;
    let after = page["offset"].as_str().expect("text");
    let page = next.read("42", &format!("events?after={after}")).await;
    assert_eq!(column(&page["events"], "/data/message/body"), ["meanwhile"]);
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
