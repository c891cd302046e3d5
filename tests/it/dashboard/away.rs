//! Whoever looks away misses nothing: hidden tabs, closed lids, no network.

use std::time::Duration;

use super::Stage;
use super::view::RECOVERY;
use crate::harness::wait::until;
use crate::harness::{Database, Look};

#[tokio::test]
async fn a_hidden_tab_has_everything_when_it_is_shown_again() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    view.page.hide(true).await;
    for number in 0..20 {
        stage.database.say("42", &format!("hidden {number}")).await;
    }
    view.page.hide(false).await;
    view.settles(&stage.database, "42").await;

    // The same while its connection is gone, which only the shown tab looks after at once.
    view.page.hide(true).await;
    stage.network.close(true);
    for number in 0..20 {
        stage
            .database
            .say("42", &format!("unreachable {number}"))
            .await;
    }
    stage.network.close(false);
    view.page.hide(false).await;
    view.badge("connected").await;
    view.ends_with_one_history(&stage.database, "42").await;
}

/// Chromium calls the timers of such a tab once a minute, and hands it what its connections bring. A headless Chromium has no background:
/// the page's clock makes ten jumps of a minute, each of which calls a timer once. Its heartbeat takes each jump for a server that says
/// nothing, so that it loses its connection ten times, too, which is worse than what a real tab sees.
#[tokio::test]
async fn a_tab_that_was_in_the_background_for_ten_minutes_has_everything() {
    let stage = Stage::new().await;
    let view = stage.prepare(Look::DESKTOP).await;
    view.page.take_clock().await;
    view.page.goto(&stage.url("42")).await;
    view.badge("connected").await;
    view.page.hide(true).await;
    for minute in 0..10 {
        for number in 0..3 {
            let body = format!("minute {minute}, {number}");
            stage.database.say("42", &body).await;
        }
        view.page.skip(Duration::from_secs(60)).await;
    }
    let asked = view.page.record().await.requests.len();
    assert!(
        asked < 150,
        "{asked} requests of a page that nobody looks at"
    );
    stage.database.say("42", "the last").await;
    view.page.hide(false).await;
    view.shows_within(RECOVERY, "the last").await;
    view.badge("connected").await;
    view.ends_with_one_history(&stage.database, "42").await;
    let joins = view.page.record().await.joins();
    assert!(joins.len() > 1, "it was cut: {joins:?}");
}

#[tokio::test]
async fn a_laptop_that_slept_has_everything_when_it_wakes() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    stage.browser.sleep(true);
    for number in 0..30 {
        stage.database.say("42", &format!("asleep {number}")).await;
    }
    // What a router does meanwhile with a connection on which nothing moves.
    stage.network.cut();
    until("the server to see that it is gone", async || {
        (stage.server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
    })
    .await;
    stage.database.say("42", "the last").await;
    stage.browser.sleep(false);
    view.shows_within(RECOVERY, "the last").await;
    view.badge("connected").await;
    view.ends_with_one_history(&stage.database, "42").await;
}

#[tokio::test]
async fn a_page_without_a_network_says_so_and_goes_on_when_it_is_back() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    stage.database.say("42", "before").await;
    view.shows("before").await;
    view.page.offline(true).await;
    // Chromium's emulation leaves an open websocket alone; a network that is gone does not.
    stage.network.cut();
    view.badge("offline").await;
    for number in 0..20 {
        stage.database.say("42", &format!("offline {number}")).await;
    }
    view.page.offline(false).await;
    view.settles(&stage.database, "42").await;
    view.badge("connected").await;
    stage.database.say("42", "after").await;
    view.ends_with_one_history(&stage.database, "42").await;
}

/// The server can't tell any more what it missed, and says so: the history is loaded again.
#[tokio::test]
async fn a_page_that_was_away_for_longer_than_the_retention_has_everything() {
    let short = [("ROWCAST_RETENTION", "2s")];
    let mut stage = Stage::with(Database::inbox().await, &short).await;
    let view = stage.open("42").await;
    for number in 0..10 {
        stage.database.say("42", &format!("before {number}")).await;
    }
    view.shows("before 9").await;
    stage.network.close(true);
    for number in 0..10 {
        stage
            .database
            .say("42", &format!("meanwhile {number}"))
            .await;
    }
    until("the events to be pruned", async || {
        let left = stage.database.value("select count(*) from rowcast.events");
        (left.await == "0").then_some(())
    })
    .await;
    // One that doesn't have them in memory either.
    stage.replace().await;
    stage.network.close(false);
    view.shows_within(RECOVERY, "meanwhile 9").await;
    view.badge("connected").await;
    stage.database.say("42", "live").await;
    view.shows("live").await;
    view.settles(&stage.database, "42").await;
    let record = view.clean().await;
    let history = record.reads("42", "messages");
    assert_eq!(history.len(), 2, "once again: {history:#?}");
}
