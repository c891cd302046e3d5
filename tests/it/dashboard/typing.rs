//! The typing badge: it comes, and it goes by itself.

use std::time::{Duration, Instant};

use super::Stage;
use crate::harness::wait::PATIENCE;

/// After which the server ends it.
const TTL: Duration = Duration::from_secs(15);

#[tokio::test]
async fn typing_from_sql_comes_and_goes() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    for typing in [true, false] {
        let sql = format!("select rowcast.typing('42', {typing})");
        stage.database.run(&sql).await;
        view.typing(typing, PATIENCE).await;
    }
    let other = "select rowcast.typing('43', true), rowcast.typing('42', true)";
    stage.database.run(other).await;
    view.typing(true, PATIENCE).await;
    view.visit("44").await;
    view.typing(false, PATIENCE).await;
    view.calm().await;
}

#[tokio::test]
async fn typing_that_nobody_ends_goes_by_itself() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    let began = Instant::now();
    stage
        .database
        .run("select rowcast.typing('42', true)")
        .await;
    view.typing(true, PATIENCE).await;
    view.typing(false, TTL * 2).await;
    let lasted = began.elapsed();
    assert!(
        lasted > TTL - Duration::from_secs(1) && lasted < TTL + Duration::from_secs(4),
        "the server ends it after {TTL:?}, the client alone would after 20 s: {lasted:?}"
    );
    view.calm().await;
}

#[tokio::test]
async fn who_types_on_one_page_is_seen_on_the_other() {
    let stage = Stage::new().await;
    let ada = stage.open("42").await;
    let bob = stage.open("42").await;
    ada.page.focus("textbox", "Mensaje").await;
    ada.page.type_text("ho").await;
    bob.typing(true, PATIENCE).await;
    ada.typing(false, PATIENCE).await;
    // No key for a few seconds.
    bob.typing(false, PATIENCE).await;
    ada.page.type_text("la").await;
    bob.typing(true, PATIENCE).await;
    ada.page.press("Enter").await;
    bob.typing(false, PATIENCE).await;
    bob.shows("hola").await;
    for view in [&ada, &bob] {
        view.settles(&stage.database, "42").await;
        view.calm().await;
    }
}
