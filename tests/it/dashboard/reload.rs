//! The reload button, and coming back to a conversation: the page goes on after what it has.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::Stage;

/// Of the burst, at least.
const ROWS: usize = 400;

#[tokio::test]
async fn a_page_reloaded_in_the_middle_of_a_burst_shows_each_row_once() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    let reloaded = AtomicBool::new(false);
    let burst = async {
        let mut number = 0;
        while number < ROWS || !reloaded.load(Ordering::Relaxed) {
            stage.database.say("42", &format!("row {number}")).await;
            number += 1;
            // A few hundred a second: as many as a page could be asked to draw one by one.
            sleep(Duration::from_millis(3)).await;
        }
    };
    let reloads = async {
        for least in [20, 60, 120] {
            view.counts(least).await;
            view.page.reload().await;
        }
        reloaded.store(true, Ordering::Relaxed);
    };
    tokio::join!(burst, reloads);
    view.settles_newest(&stage.database, "42").await;
    let record = view.page.record().await;
    let history = record.reads("42", "messages");
    assert_eq!(
        history.len(),
        1,
        "the history was loaded again: {history:#?}"
    );
    // The page asks once more who is there, of a server that keeps no presence. That join of a room in which it is loads nothing.
    let joins = record.joins();
    let placed = joins.iter().filter(|join| join["after"].is_string());
    assert!(
        placed.count() >= 4,
        "one for each time it was loaded: {joins:?}"
    );
    assert!(joins[0]["after"].is_string(), "{joins:?}");
    view.settles_to_the_oldest(&stage.database, "42").await;
    view.clean().await;
}

#[tokio::test]
async fn a_conversation_that_is_opened_again_goes_on_after_what_was_seen() {
    let stage = Stage::new().await;
    stage.database.say("42", "one").await;
    let view = stage.open("42").await;
    view.shows("one").await;
    view.visit("43").await;
    view.badge("connected").await;
    let missed = stage.database.say("42", "two").await;
    stage.database.report(&missed, "delivered").await;
    view.visit("42").await;
    view.shows("two").await;
    view.badge("connected").await;
    view.settles(&stage.database, "42").await;
    let record = view.calm().await;
    assert_eq!(record.reads("42", "messages").len(), 1, "the history once");
}
