//! The server, or its database, goes and comes back under an open page.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::view::RECOVERY;
use super::{Stage, View};
use crate::harness::Postgres;

#[tokio::test]
async fn a_page_outlives_a_killed_server() {
    let mut stage = Stage::new().await;
    let view = marked(&stage).await;
    for round in 0..2 {
        say(&stage, &format!("{round} before")).await;
        stage.server.crash().await;
        say(&stage, &format!("{round} meanwhile")).await;
        view.badge("offline").await;
        stage.replace().await;
        say(&stage, &format!("{round} after")).await;
        back(&stage, &view).await;
    }
    judge(&stage, &view).await;
}

#[tokio::test]
async fn a_page_outlives_a_drained_server() {
    let mut stage = Stage::new().await;
    let view = marked(&stage).await;
    for round in 0..2 {
        say(&stage, &format!("{round} before")).await;
        stage.server.stop().await;
        say(&stage, &format!("{round} meanwhile")).await;
        stage.replace().await;
        say(&stage, &format!("{round} after")).await;
        back(&stage, &view).await;
    }
    judge(&stage, &view).await;
}

/// The next one is there before the last one goes.
#[tokio::test]
async fn a_page_outlives_a_rolling_restart() {
    let mut stage = Stage::new().await;
    let view = marked(&stage).await;
    for round in 0..2 {
        let last = stage.replace().await;
        say(&stage, &format!("{round} before")).await;
        last.stop().await;
        say(&stage, &format!("{round} after")).await;
        back(&stage, &view).await;
    }
    judge(&stage, &view).await;
}

#[tokio::test]
async fn a_conversation_opened_while_the_server_is_away_comes_with_it() {
    let mut stage = Stage::new().await;
    let view = stage.open("42").await;
    stage.database.say("43", "of another").await;
    stage.server.crash().await;
    view.visit("43").await;
    view.badge("offline").await;
    assert!(view.rows().await.is_empty());
    stage.replace().await;
    view.shows_within(RECOVERY, "of another").await;
    view.badge("connected").await;
    stage.database.say("43", "live").await;
    view.shows("live").await;
    view.settles(&stage.database, "43").await;
    view.clean().await;
}

#[tokio::test]
async fn a_page_outlives_a_restarted_database() {
    let (mut postgres, database) = Postgres::with_chat().await;
    database.run("select rowcast.create_inbox()").await;
    let stage = Stage::on(database).await;
    let view = marked(&stage).await;
    say(&stage, "before").await;
    view.settles(&stage.database, "42").await;
    postgres.down(Signal::INT).await;
    postgres.up().await;
    stage.server.readiness(200).await;
    say(&stage, "after").await;
    view.badge("connected").await;
    view.ends_with_one_history(&stage.database, "42").await;
}

/// A conversation that is open, on a page that can be told from a later one.
async fn marked(stage: &Stage) -> View {
    let view = stage.open("42").await;
    view.page
        .evaluate("() => { window.mark = 'the first'; }", Value::Null)
        .await;
    view
}

/// A few rows, with statuses of some.
async fn say(stage: &Stage, body: &str) {
    for number in 0..5 {
        let id = stage.database.say("42", &format!("{body} {number}")).await;
        if number % 2 == 0 {
            stage.database.report(&id, "delivered").await;
        }
    }
}

async fn back(stage: &Stage, view: &View) {
    view.page
        .until_for(
            RECOVERY,
            "a new connection of the page",
            "() => document.querySelector('[role=status][data-status]')?.dataset.status === 'connected'",
            Value::Null,
        )
        .await;
    stage.database.say("42", "it is back").await;
    view.settles(&stage.database, "42").await;
}

/// Nothing was loaded again: it went on where it was.
async fn judge(stage: &Stage, view: &View) {
    let mark = view.page.evaluate("() => window.mark", Value::Null).await;
    assert_eq!(mark, json!("the first"), "nobody reloaded the page");
    view.settles_to_the_oldest(&stage.database, "42").await;
    let record = view.clean().await;
    let history = record.reads("42", "messages");
    assert_eq!(history.len(), 1, "it resumed: {history:#?}");
    let joins = record.joins();
    assert!(joins.len() > 1, "it joined again: {joins:?}");
    assert!(
        joins.iter().all(|join| join["after"].is_string()),
        "{joins:?}"
    );
}
