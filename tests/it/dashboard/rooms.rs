//! One conversation is viewed, so one room is joined.

use super::Stage;
use crate::harness::wait::until;

#[tokio::test]
async fn switching_between_twenty_conversations_leaves_one_room() {
    let stage = Stage::new().await;
    let contacts: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    for contact in &contacts {
        stage.database.say(contact, &format!("of {contact}")).await;
    }
    let view = stage.open("c0").await;
    // Faster than any answer: not even the next frame is waited for.
    let hurry = "async (contacts) => {
        for (let round = 0; round < 3; round++) {
            for (const contact of contacts) {
                location.hash = '#/' + contact;
                await new Promise((resolve) => setTimeout(resolve, round * 20));
            }
        }
    }";
    view.page.evaluate(hurry, serde_json::json!(contacts)).await;
    // And by hand.
    for contact in ["c3", "c17", "c5"] {
        view.choose(contact).await;
    }
    view.choose("c19").await;
    view.badge("connected").await;
    until("one conversation to be left", async || {
        (stage.rooms().await == "conversation:c19 inbox:all").then_some(())
    })
    .await;
    assert_eq!(stage.server.metric("rowcast_sockets", &[]).await, 1.0);

    let before = stage
        .database
        .value("select max(id) from rowcast.events")
        .await;
    let delivered = stage.server.metric("rowcast_deliveries_total", &[]).await;
    for contact in &contacts {
        stage
            .database
            .say(contact, &format!("more of {contact}"))
            .await;
    }
    view.shows("more of c19").await;
    view.settles(&stage.database, "c19").await;
    // The list is delivered as well, and what changes because the page marks it read.
    let others = format!(
        "select count(*) from rowcast.events where id > {before} and (room = 'inbox:all' or room = 'conversation:c19' and event = 'message:status')"
    );
    let others = stage.database.value(&others).await;
    let now = stage.server.metric("rowcast_deliveries_total", &[]).await;
    let most = others.parse::<f64>().expect("a number") + 1.0;
    assert!(
        now - delivered <= most,
        "{} deliveries, and rows of nineteen other rooms were written",
        now - delivered
    );

    for contact in &contacts {
        view.choose(contact).await;
        view.settles(&stage.database, contact).await;
    }
    let record = view.calm().await;
    for saw in &record.saw {
        let contact = saw.contact.as_deref().expect("an open conversation");
        let owner = format!("select contact_id from messages where id = '{}'", saw.id);
        assert_eq!(stage.database.value(&owner).await, contact, "{saw:?}");
    }
}
