//! What was missed, replayed: in full, in pieces, and cut in the middle as often as it likes.

use serde_json::{Value, json};

use crate::harness::wait::until;
use crate::harness::witness::Witness;
use crate::harness::writers::Habit;
use crate::harness::{Database, Kind, Polling, Scene, Trial, Wire};

#[tokio::test]
async fn a_replay_of_five_megabytes_is_complete_on_every_transport() {
    let trial = Trial::new().await;
    for _ in 0..2 {
        trial.away().await;
        // By one writer that the ledger knows, to each of the rooms in turn.
        let mut hand = crate::harness::writers::Hand::on(&trial.database.url, &trial.ledger)
            .await
            .expect("a connection");
        let body = "x".repeat(20_000);
        for number in 0..300 {
            let contact = ["a", "b", "c"][number % 3];
            let key = hand.message(contact, &body).await.expect("a message");
            hand.committed(&[key]);
        }
        trial.network.close(false);
        trial.back().await;
        trial.flows().await;
    }
    trial.complete().await;
}

#[tokio::test]
async fn a_replay_that_is_cut_again_and_again_is_complete_in_the_end() {
    let trial = Trial::new().await;
    trial.away().await;
    trial.ledger.more(900).await;
    // Enough for some of it each time.
    trial.network.cut_after(Some(25_000));
    trial.network.close(false);
    for witness in &trial.witnesses {
        let lost = witness.read(|view| view.lost);
        witness
            .until("to be cut five times", |view| view.lost >= lost + 5)
            .await;
    }
    trial.network.cut_after(None);
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn many_rooms_with_interleaved_events_are_replayed_without_a_hole() {
    let contacts: Vec<String> = (0..40).map(|number| format!("r{number}")).collect();
    let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
    let database = Database::chat().await;
    let mut trial = Trial::written(database, &[], &[], &Habit::of(&contacts)).await;
    for kind in Kind::ALL {
        let witness = Witness::open(&trial.stock, trial.network.address(), kind, &[]).await;
        for contact in &contacts {
            // Each from the history: the writers are at it.
            witness.reload(contact);
        }
        witness
            .until("to be in every room", |view| {
                view.rooms.len() == 40 && view.rooms.values().all(|room| room.joins > 0)
            })
            .await;
        trial.witnesses.push(witness);
    }
    for round in 1..=5 {
        trial.away().await;
        trial.ledger.more(150).await;
        // Each comes back by several attempts, each of which gets a part of it.
        trial.network.cut_after(Some(12_000 * round));
        trial.network.close(false);
        trial.ledger.more(50).await;
        trial.network.cut_after(None);
        trial.cut().await;
        trial.back().await;
    }
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn a_join_with_an_offset_that_is_cut_in_the_middle_is_complete_in_the_end() {
    let trial = Trial::new().await;
    for round in 1..=4 {
        for witness in &trial.witnesses {
            witness.leave("a");
        }
        trial.ledger.more(200).await;
        // What was missed of one room comes while the other rooms go on.
        trial.network.cut_after(Some(15_000 + round * 1_013));
        let before = trial.losses();
        for witness in &trial.witnesses {
            witness.rejoin("a");
        }
        // Each poll is a connection of its own, and ends before that.
        for (witness, lost) in before {
            if witness.kind != Kind::Polling {
                witness.until("to be cut", |view| view.lost > lost).await;
            }
        }
        trial.network.cut_after(None);
        for witness in &trial.witnesses {
            witness.settled().await;
        }
        trial.flows().await;
    }
    // How far such a replay got may be unknown: then it is told, and loaded.
    trial.verdict().await.assert_clean();
}

#[tokio::test]
async fn rooms_that_are_left_and_joined_again_under_cuts_have_no_hole() {
    let trial = Trial::new().await;
    for round in 0..10 {
        for (number, witness) in trial.witnesses.iter().enumerate() {
            if (round + number) % 3 == 0 {
                witness.cut();
            }
            witness.rejoin("a");
            if (round + number) % 3 == 1 {
                witness.cut();
            }
        }
        trial.ledger.more(20).await;
    }
    for witness in &trial.witnesses {
        witness.settled().await;
    }
    trial.flows().await;
    trial.verdict().await.assert_clean();
}

/// The client's offset is of another room and later than all that the join replayed: it does not say that it got that.
#[tokio::test]
async fn a_replay_of_a_join_that_never_came_is_no_silent_loss() {
    let scene = Scene::new().await;
    let mut wire = Wire::open(scene.server.address()).await;
    wire.send("40").await;
    let connect = wire
        .find("the CONNECT packet", |frame| frame.starts_with("40"))
        .await;
    let connect: Value = serde_json::from_str(&connect[2..]).expect("JSON");
    let before = wire.ask("join:conversation", &json!(["a"]), 1).await["offset"].take();
    wire.ask("leave:conversation", &json!(["a"]), 2).await;
    wire.ask("join:conversation", &json!(["c"]), 3).await;
    scene.database.say("a", "missed").await;
    scene.database.say("c", "seen").await;
    let seen = wire.find("the event", |frame| frame.contains("seen")).await;
    let seen: Value = serde_json::from_str(&seen[2..]).expect("JSON");
    let offset = seen[2].as_str().expect("an offset");

    // Nothing of what the server sends from here on is read.
    let join = json!([{"contactId": "a", "after": before}]);
    wire.emit("join:conversation", &join, Some(4)).await;
    until("the membership to be stored", async || {
        let stored = "select string_agg(rooms::text, '') from rowcast.sessions";
        let stored = scene.database.value(stored).await;
        stored.contains("conversation:a").then_some(())
    })
    .await;
    drop(wire);
    let mut back = Wire::open(scene.server.address()).await;
    let auth = json!({"pid": connect["pid"], "offset": offset});
    back.send(&format!("40{auth}")).await;
    scene.database.say("a", "after").await;
    // It is resumed with it, or is told.
    back.find("what was missed, or a resync", |frame| {
        assert!(!frame.contains("after"), "what was missed is lost: {frame}");
        frame.contains("missed") || frame.contains("rowcast:resync") && frame.contains("\"a\"")
    })
    .await;
}

/// What is left of a replay under way is not sent to who has left: it would be doubled by a join with the last offset.
#[tokio::test]
async fn a_room_that_is_left_in_the_middle_of_a_replay_is_silent() {
    let scene = Scene::new().await;
    for _ in 0..10 {
        if let Some((seen, after)) = left_in_the_middle(&scene).await {
            assert_eq!(
                after, 0,
                "of {seen} events after the leave was acknowledged"
            );
            return;
        }
    }
    panic!("it was cut each time");
}

/// How many events a polling client gets that leaves, and how many of those later; none if it is cut, which it may be.
async fn left_in_the_middle(scene: &Scene) -> Option<(usize, usize)> {
    let mut wire = Wire::open(scene.server.address()).await;
    wire.send("40").await;
    let connect = wire
        .find("the CONNECT packet", |frame| frame.starts_with("40"))
        .await;
    let connect: Value = serde_json::from_str(&connect[2..]).expect("JSON");
    let answer = wire.ask("join:conversation", &json!(["a"]), 1).await;
    drop(wire);
    // More than is queued for a client that polls, and no more than one read of the outbox.
    scene
        .database
        .run("insert into messages (contact_id, body) select 'a', n || repeat('x', 300) from generate_series(1, 1900) n")
        .await;
    let auth = json!({"pid": connect["pid"], "offset": answer["offset"]});
    let back = Polling::connect_with(scene.server.address(), &auth).await;
    until("the replay to have begun", async || {
        back.poll().await.body.contains("xxxxx").then_some(())
    })
    .await;
    back.post(r#"421["leave:conversation","a"]"#).await;
    back.post(r#"422["join:conversation","b"]"#).await;
    let (mut left, mut joined, mut fenced) = (false, false, false);
    let (mut seen, mut after) = (0, 0);
    while !fenced {
        let polled = back.poll().await;
        if polled.status != 200 {
            return None;
        }
        for packet in polled.body.split('\u{1e}') {
            left |= packet.starts_with("431[");
            if packet.starts_with("432[") {
                joined = true;
                scene.database.say("b", "fence").await;
            }
            fenced |= packet.contains("fence");
            seen += usize::from(packet.contains("xxxxx"));
            after += usize::from(left && packet.contains("xxxxx"));
        }
    }
    assert!(left && joined, "both were acknowledged");
    Some((seen, after))
}
