//! A page is loaded anew: its history over HTTP, then the room from the history's offset, while writers write.

use std::collections::HashMap;

use serde_json::Value;

use crate::harness::ledger::{Key, truth};
use crate::harness::tally::Tally;
use crate::harness::witness::{Phase, Room, View, Witness};
use crate::harness::{Kind, Trial, http};

#[tokio::test]
async fn history_and_stream_meet_without_a_seam() {
    let mut trial = Trial::new().await;
    for _ in 0..6 {
        for kind in Kind::ALL {
            let page = Witness::begin(&trial.stock, trial.network.address(), kind, &[]);
            page.reload("a");
            page.reload("b");
            trial.witnesses.push(page);
        }
        for witness in trial.witnesses.iter().take(4) {
            witness.reload("a");
        }
        trial.ledger.more(20).await;
    }
    for page in &trial.witnesses {
        page.until("to be in its rooms", |view| {
            view.rooms.values().all(|room| room.joins > 0)
        })
        .await;
    }
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn a_page_that_remembers_its_offset_goes_on_where_it_was() {
    let mut trial = Trial::new().await;
    for round in 0..4 {
        let gone = std::mem::take(&mut trial.witnesses);
        let mut kinds = Kind::ALL.into_iter().cycle().skip(round);
        // Some time passes between the two, and once the server goes.
        let views: Vec<_> = gone.iter().map(Witness::view).collect();
        assert!(views.iter().all(|view| view.odd.is_empty()), "{views:?}");
        trial.ledger.more(40).await;
        if round == 2 {
            trial.crash().await;
            trial.replace().await;
        }
        for witness in gone {
            let kind = kinds.next().expect("without end");
            let reborn = witness.reborn(&trial.stock, trial.network.address(), kind);
            reborn.settled().await;
            trial.witnesses.push(reborn);
        }
        trial.flows().await;
    }
    trial.complete().await;
}

#[tokio::test]
async fn reloads_under_cuts_and_restarts_have_no_hole() {
    let mut trial = Trial::new().await;
    for round in 0..4 {
        for witness in &trial.witnesses {
            witness.reload("a");
        }
        if round == 1 {
            trial.crash().await;
            trial.replace().await;
        } else {
            trial.cut().await;
        }
        trial.ledger.more(20).await;
        for witness in &trial.witnesses {
            witness.settled().await;
        }
    }
    trial.flows().await;
    // How far the replay of a join got that was cut may be unknown: then it is told, and loaded.
    trial.verdict().await.assert_clean();
}

/// The same events for who can't hold a socket.
#[tokio::test]
async fn polled_events_are_complete_over_a_restart() {
    let mut trial = Trial::new().await;
    let begin = events(&trial, "").await;
    assert_eq!(begin["events"], serde_json::json!([]), "{begin}");
    let mut after = begin["offset"].as_str().expect("an offset").to_owned();
    let before = truth(&trial.database).await;
    let mut arrivals = Vec::new();
    let mut fenced = false;
    for round in 0.. {
        let page = events(&trial, &format!("after={after}&limit=50&wait=1")).await;
        page["offset"]
            .as_str()
            .expect("an offset")
            .clone_into(&mut after);
        for event in page["events"].as_array().expect("events") {
            let data = &event["data"];
            match event["event"].as_str() {
                Some("message:new") => {
                    arrivals.push(Key::new(data["message"]["id"].as_str().expect("an id")));
                }
                Some("message:status") => {
                    let text = |name: &str| data[name].as_str().expect("a text");
                    arrivals.push(Key::status(text("messageId"), text("status")));
                }
                other => fenced |= other == Some("fence"),
            }
        }
        if round == 5 {
            trial.ledger.more(400).await;
            trial.crash().await;
            trial.ledger.more(60).await;
            trial.replace().await;
        }
        if round >= 20 && arrivals.len() > 200 {
            trial.quiet().await;
        }
        if fenced && page["more"] == false {
            break;
        }
    }
    // What was committed before the first request may be in the beginning; the rest is there once.
    let truth = truth(&trial.database).await;
    let mut base = HashMap::new();
    for key in before["a"].iter().filter(|key| !arrivals.contains(key)) {
        let (rank, _) = base.entry(key.message).or_insert((key.rank, true));
        *rank = key.rank.max(*rank);
    }
    let mut room = Room::default();
    (room.phase, room.base) = (Phase::In, base);
    room.arrivals.clone_from(&arrivals);
    let view = View {
        events: arrivals.len() as u64,
        rooms: [("a".to_owned(), room)].into(),
        ..View::default()
    };
    assert!(arrivals.len() > 200, "{} events", arrivals.len());
    let mut tally = Tally::default();
    tally.judge("the poll", &view, &truth, &HashMap::new());
    tally.assert_clean();
    trial.complete().await;
}

async fn events(trial: &Trial, query: &str) -> Value {
    let path = format!("/api/conversations/a/events?{query}");
    let answer = http::get(trial.server.address(), &path, &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}
