//! The server's process ends, well or badly, and another takes its place.

use std::time::Instant;

use rustix::process::Signal;

use crate::harness::trial::noticed;
use crate::harness::wait::{PATIENCE, until};
use crate::harness::witness::Witness;
use crate::harness::{Database, Kind, Launch, Stock, Trial};

#[tokio::test]
async fn a_killed_server_loses_nothing() {
    let mut trial = Trial::new().await;
    for _ in 0..3 {
        trial.crash().await;
        // With nobody there to read it.
        trial.ledger.more(100).await;
        trial.replace().await;
        trial.back().await;
        trial.flows().await;
    }
    trial.complete().await;
}

#[tokio::test]
async fn a_server_killed_while_it_replays_loses_nothing() {
    let mut trial = Trial::new().await;
    trial.away().await;
    trial.ledger.more(400).await;
    trial.network.close(false);
    // As soon as anybody is back, and before most have what they missed.
    for _ in 0..3 {
        let before = trial.network.carried_bytes();
        until("a client to be back", async || {
            (trial.network.carried_bytes() > before + 2_000).then_some(())
        })
        .await;
        trial.server.crash().await;
        trial.replace().await;
    }
    trial.back().await;
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn a_drained_server_loses_nothing() {
    let mut trial = Trial::new().await;
    for _ in 0..2 {
        let before = trial.losses();
        trial.server.stop().await;
        noticed(&before).await;
        trial.ledger.more(60).await;
        trial.replace().await;
        trial.back().await;
        trial.flows().await;
    }
    trial.complete().await;
}

/// The next process is there before the last one goes, as an orchestrator does it.
#[tokio::test]
async fn a_rolling_restart_loses_nothing_and_refuses_nobody() {
    let mut trial = Trial::new().await;
    for _ in 0..3 {
        let next = trial.another().await;
        trial.network.lead(next.address());
        let last = std::mem::replace(&mut trial.server, next);
        let began = Instant::now();
        let before = trial.losses();
        last.stop().await;
        noticed(&before).await;
        trial.back().await;
        assert!(
            began.elapsed() < PATIENCE * 2,
            "it took {:?}",
            began.elapsed()
        );
        trial.flows().await;
    }
    trial.complete().await;
}

/// No network of ours between: the process that comes back has the address of the one that went.
#[tokio::test]
async fn clients_find_a_server_that_comes_back_at_its_own_address() {
    let database = Database::chat().await;
    let first = crate::harness::Server::on(&database).await;
    let address = first.address().to_owned();
    let (_, port) = address.rsplit_once(':').expect("a port");
    let stock = Stock::start();
    let mut witnesses = Vec::new();
    for kind in Kind::ALL {
        witnesses.push(Witness::open(&stock, &address, kind, &["a"]).await);
    }
    let mut server = first;
    for (round, signal) in [Signal::KILL, Signal::TERM, Signal::KILL]
        .into_iter()
        .enumerate()
    {
        for number in 0..20 {
            database.say("a", &format!("{round} {number}")).await;
        }
        server.signal(signal);
        // Into the middle of its end.
        for number in 20..40 {
            database.say("a", &format!("{round} {number}")).await;
        }
        server.ended().await;
        database.say("a", "nobody is there").await;
        server = Launch::serve()
            .env("PORT", port)
            .database(&database.url)
            .start()
            .await;
        for witness in &witnesses {
            let times = round as u64 + 1;
            witness
                .until("to be resumed", |view| view.resumed == times)
                .await;
        }
    }
    let expected = 3 * 41;
    for witness in &witnesses {
        witness
            .until("to have all", |view| view.events >= expected)
            .await;
        let view = witness.view();
        assert_eq!(
            (view.events, view.fresh, view.resyncs),
            (expected, 0, 0),
            "{view:?}"
        );
        assert!(view.odd.is_empty(), "{view:?}");
    }
}
