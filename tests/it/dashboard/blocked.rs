//! Networks that carry HTTP and no websockets: polling goes on, and the badge says so.

use std::time::Duration;

use super::Stage;
use super::view::RECOVERY;
use crate::harness::Look;
use crate::harness::proxy::Websockets;

/// Between two polls of a conversation that is not live.
const PACE: Duration = Duration::from_secs(5);
/// How much later than that a poll may come on a busy machine: it waits for the answer of the one before.
const LATE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_blocked_websocket_leaves_polling_every_five_seconds() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    stage.database.say("42", "before").await;
    view.shows("before").await;
    let polls_before = view.page.record().await.reads("42", "events").len();

    stage.network.websockets(Websockets::Refused);
    view.badge("polling").await;
    for number in 0..3 {
        let body = format!("blocked {number}");
        stage.database.say("42", &body).await;
        view.shows(&body).await;
        view.badge("polling").await;
    }
    let record = view.page.record().await;
    let polls = &record.reads("42", "events")[polls_before..];
    assert!(polls.len() >= 4, "one for the badge and one for each row");
    for pair in polls.windows(2) {
        let gap = Duration::from_millis(pair[1].at - pair[0].at);
        // They are noted by Node, which may be late itself.
        let early = PACE - Duration::from_secs(1);
        assert!(gap > early && gap < PACE + LATE, "{gap:?}: {polls:#?}");
    }

    stage.network.websockets(Websockets::Carried);
    view.badge("connected").await;
    let joins = view.page.record().await.joins();
    let last = joins.last().expect("it joined");
    assert!(
        last["after"].is_string(),
        "after what polling brought: {last}"
    );
    stage.database.say("42", "after").await;
    view.shows("after").await;
    view.ends_with_one_history(&stage.database, "42").await;
}

#[tokio::test]
async fn a_websocket_that_never_answers_does_not_hold_polling_up() {
    let stage = Stage::new().await;
    stage.database.say("42", "before").await;
    stage.network.websockets(Websockets::Silent);
    let view = stage.load(Look::DESKTOP, "42").await;
    view.shows("before").await;
    view.badge("polling").await;
    for body in ["one", "two"] {
        stage.database.say("42", body).await;
        view.shows(body).await;
    }
    stage.network.websockets(Websockets::Carried);
    view.badge("connected").await;
    stage.database.say("42", "after").await;
    view.shows("after").await;
    view.ends_with_one_history(&stage.database, "42").await;
}

/// Nobody closes it, and the heartbeat would take 45 s: the poll of every 30 s finds out, and polling brings it.
#[tokio::test]
async fn a_websocket_that_falls_silent_is_found_out_by_polling() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    stage.network.websockets(Websockets::Silent);
    stage.database.say("42", "unheard").await;
    view.shows_within(Duration::from_secs(44), "unheard").await;
    stage.network.websockets(Websockets::Carried);
    view.badge("connected").await;
    stage.database.say("42", "after").await;
    view.shows("after").await;
    view.settles(&stage.database, "42").await;
    view.clean().await;
}

/// Both at once, and a page that is opened in the middle.
#[tokio::test]
async fn a_network_that_comes_and_goes_doubles_nothing() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    for round in 0..2 {
        stage.network.cut();
        stage.database.say("42", &format!("{round} cut")).await;
        view.shows_within(RECOVERY, &format!("{round} cut")).await;
        stage.network.websockets(Websockets::Refused);
        stage.database.say("42", &format!("{round} blocked")).await;
        view.shows_within(RECOVERY, &format!("{round} blocked"))
            .await;
        stage.network.websockets(Websockets::Carried);
    }
    view.badge("connected").await;
    view.ends_with_one_history(&stage.database, "42").await;
}
