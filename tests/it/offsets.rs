//! Offsets as clients see them: on every stored event, on no transient one, opaque, small, of their own.

use std::collections::HashSet;

use crate::harness::Scene;

#[tokio::test]
async fn every_stored_event_has_an_offset_of_its_own() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene.database.run("insert into messages (contact_id, body) select '42', n::text from generate_series(1, 100) n").await;
    for number in 0..100 {
        scene.database.say("42", &number.to_string()).await;
    }
    scene.database.run("update messages set body = body || '!'; update messages set status = 'read'; delete from messages").await;
    let mut seen = HashSet::new();
    for event in client.take(200 * 4).await {
        let offset = event
            .offset()
            .unwrap_or_else(|| panic!("no offset: {event:?}"));
        assert!((1..=400).contains(&offset.len()), "small: {offset}");
        assert!(
            offset
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)),
            "fit for a URL: {offset}"
        );
        assert!(seen.insert(offset.to_owned()), "twice: {offset}");
    }
}

#[tokio::test]
async fn only_the_stored_events_end_in_a_text() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run("select rowcast.typing('42', true); select rowcast.typing('42', false)")
        .await;
    client.emit("join:conversation", serde_json::json!([]));
    let mut seen = HashSet::new();
    for event in client.take(3).await {
        assert_eq!(
            event.offset(),
            None,
            "a transient event would move the client's offset: {event:?}"
        );
        seen.insert(event.name);
    }
    let expected = ["typing:start", "typing:stop", "rowcast:error"].map(str::to_owned);
    assert_eq!(seen, HashSet::from(expected));
}

#[tokio::test]
async fn offsets_stay_small_beside_many_open_transactions() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut open = Vec::new();
    for _ in 0..30 {
        let mut transaction = scene.database.pool.begin().await.expect("a transaction");
        crate::harness::say(&mut *transaction, "43", "open").await;
        open.push(transaction);
    }
    for number in 0..50 {
        scene.database.say("42", &number.to_string()).await;
        let event = client.next().await;
        let offset = event.offset().expect("an offset");
        assert!(offset.len() <= 400, "{} bytes: {offset}", offset.len());
    }
    for transaction in open {
        transaction.commit().await.expect("it commits");
    }
}
