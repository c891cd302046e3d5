//! What a person does at the desk: write, try the bot, look at older messages.

use super::Stage;
use super::view::RECOVERY;
use crate::harness::wait::{PATIENCE, until};

#[tokio::test]
async fn the_composer_sends_by_enter_and_by_button() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    view.page.focus("textbox", "Mensaje").await;
    view.page.type_text("two").await;
    view.page.press("Shift+Enter").await;
    view.page.type_text("lines").await;
    view.page.press("Enter").await;
    view.shows("two\nlines").await;
    view.page.fill("textbox", "Mensaje", "by button").await;
    view.page.click("button", "Enviar").await;
    view.shows("by button").await;
    // Nothing to send.
    view.page.fill("textbox", "Mensaje", " \n ").await;
    view.page.press("Enter").await;
    // As fast as one can.
    for number in 0..10 {
        view.page
            .fill("textbox", "Mensaje", &format!("quick {number}"))
            .await;
        view.page.press("Enter").await;
    }
    view.shows("quick 9").await;
    view.settles(&stage.database, "42").await;
    let written = "select string_agg(distinct concat_ws(' ', direction, author, status), ', ')
        || ', ' || count(*) from messages";
    let written = stage.database.value(written).await;
    assert_eq!(written, "outbound agent sent, 12");
    view.calm().await;
}

#[tokio::test]
async fn the_bot_types_replies_and_is_read() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    view.page.fill("textbox", "Mensaje", "hello bot").await;
    view.page.press("Enter").await;
    view.tick("hello bot", "Enviado").await;
    view.page.click("button", "Probar el bot").await;
    view.typing(true, PATIENCE).await;
    view.counts(2).await;
    view.typing(false, PATIENCE).await;
    let reply = until("the bot's reply", async || {
        let rows = view.rows().await;
        rows.into_iter().find(|row| row.body != "hello bot")
    })
    .await;
    assert_eq!(reply.direction, "outbound");
    for body in ["hello bot", &reply.body] {
        view.tick(body, "Leído").await;
    }
    view.settles(&stage.database, "42").await;
    let record = view.calm().await;
    let seen = record.saw.iter().filter(|saw| saw.id == reply.id);
    let seen: Vec<_> = seen.filter_map(|saw| saw.status.as_deref()).collect();
    assert_eq!(seen, ["sent", "delivered", "read"]);
}

#[tokio::test]
async fn older_messages_come_on_demand_and_live() {
    let stage = Stage::new().await;
    let fill = "insert into messages (contact_id, direction, body, status, created_at)
        select '42', 'outbound', 'old ' || n, 'sent', now() - interval '1 day' + n * interval '1 second'
        from generate_series(1, 130) n";
    stage.database.run(fill).await;
    let view = stage.open("42").await;
    view.settles_newest(&stage.database, "42").await;
    assert_eq!(view.rows().await.len(), 50);
    let last = stage.database.say("42", "new").await;
    view.shows("new").await;
    view.settles_to_the_oldest(&stage.database, "42").await;
    // A message of the oldest page is as live as any other.
    let first = "select id::text from messages where body = 'old 1'";
    let first = stage.database.value(first).await;
    stage.database.report(&first, "delivered").await;
    view.tick("old 1", "Entregado").await;
    stage.network.cut();
    stage.database.report(&first, "read").await;
    stage.database.report(&last, "delivered").await;
    view.badge("connected").await;
    view.settles(&stage.database, "42").await;
    view.page.reload().await;
    view.badge("connected").await;
    view.shows_within(RECOVERY, "old 1").await;
    view.settles(&stage.database, "42").await;
    let record = view.clean().await;
    // One page at first, two older ones, and none because of the reload.
    assert_eq!(record.reads("42", "messages").len(), 3, "{record:#?}");
}
