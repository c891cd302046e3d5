//! Rows become messages before a person's eyes, and statuses ticks.

use crate::harness::page::Record;

use super::{Stage, psql};

#[tokio::test]
async fn a_row_of_psql_appears_without_a_reload() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    psql(
        &stage.database,
        "insert into messages (contact_id, body) values ('42', 'hola desde psql')",
    )
    .await;
    view.shows("hola desde psql").await;
    view.settles(&stage.database, "42").await;
    let record = view.calm().await;
    let documents = record
        .requests
        .iter()
        .filter(|each| each.kind == "document");
    assert_eq!(documents.count(), 1, "the page was loaded once");
    assert_eq!(record.reads("42", "messages").len(), 1, "{record:#?}");
}

#[tokio::test]
async fn two_pages_in_one_conversation_show_the_same() {
    let stage = Stage::new().await;
    let ada = stage.open("42").await;
    let bob = stage.open("42").await;
    stage.database.say("42", "to both").await;
    for view in [&ada, &bob] {
        view.shows("to both").await;
    }
    for (view, other, body) in [(&ada, &bob, "from ada"), (&bob, &ada, "from bob")] {
        view.page.fill("textbox", "Mensaje", body).await;
        view.page.click("button", "Enviar").await;
        view.shows(body).await;
        other.shows(body).await;
    }
    for view in [&ada, &bob] {
        view.settles(&stage.database, "42").await;
        view.calm().await;
    }
}

#[tokio::test]
async fn ticks_go_forward_and_never_back() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    let message = outbound(&stage, "one").await;
    view.tick("one", "En cola").await;
    for (status, tick) in [
        ("sent", "Enviado"),
        ("delivered", "Entregado"),
        ("read", "Leído"),
    ] {
        stage.database.report(&message, status).await;
        view.tick("one", tick).await;
    }
    // A provider that repeats itself, and reports late.
    for status in ["delivered", "sent", "failed", "read"] {
        stage.database.report(&message, status).await;
    }
    // All at once, and the last first.
    let other = outbound(&stage, "two").await;
    for status in ["read", "sent", "delivered"] {
        stage.database.report(&other, status).await;
    }
    view.tick("two", "Leído").await;
    view.tick("one", "Leído").await;
    view.settles(&stage.database, "42").await;
    let record = view.calm().await;
    let all = ["queued", "sent", "delivered", "read"];
    assert_eq!(shown(&record, &message), all);
}

#[tokio::test]
async fn a_failure_is_shown_until_a_delivery_disproves_it() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    let message = outbound(&stage, "one").await;
    stage.database.report(&message, "failed").await;
    view.tick("one", "Fallido").await;
    stage.database.report(&message, "sent").await;
    stage.database.report(&message, "delivered").await;
    view.tick("one", "Entregado").await;
    view.settles(&stage.database, "42").await;
    let record = view.calm().await;
    assert_eq!(shown(&record, &message), ["queued", "failed", "delivered"]);
}

#[tokio::test]
async fn what_changes_or_is_deleted_does_so_on_the_page() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    let message = stage.database.say("42", "frist").await;
    view.shows("frist").await;
    let edit = format!("update messages set body = 'first' where id = '{message}'");
    psql(&stage.database, &edit).await;
    view.shows("first").await;
    assert_eq!(view.rows().await.len(), 1);
    let delete = format!("delete from messages where id = '{message}'");
    psql(&stage.database, &delete).await;
    view.settles(&stage.database, "42").await;
    assert!(view.rows().await.is_empty());
    view.clean_without(&[message]).await;
}

#[tokio::test]
async fn a_thousand_rows_of_one_statement_are_all_shown() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    let many = "insert into messages (contact_id, body, created_at)
        select '42', 'row ' || n, now() + n * interval '1 ms' from generate_series(1, 1000) n";
    psql(&stage.database, many).await;
    view.counts(1000).await;
    view.settles(&stage.database, "42").await;
    view.calm().await;
}

/// Writes an outbound message that nobody has taken yet, and returns its id.
async fn outbound(stage: &Stage, body: &str) -> String {
    let insert = format!(
        "insert into messages (contact_id, direction, author, body, status)
        values ('42', 'outbound', 'agent', '{body}', 'queued') returning id::text"
    );
    stage.database.value(&insert).await
}

/// The statuses that a message had before a person's eyes.
fn shown(record: &Record, message: &str) -> Vec<String> {
    let seen = record.saw.iter().filter(|saw| saw.id == message);
    seen.filter_map(|saw| saw.status.clone()).collect()
}
