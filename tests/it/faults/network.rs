//! The network between the clients and the server: cut, stalled, slow, and broken in the middle of a frame.

use std::time::Duration;

use crate::harness::witness::Witness;
use crate::harness::{Kind, Trial};

#[tokio::test]
async fn a_calm_network_loses_nothing() {
    let trial = Trial::new().await;
    for _ in 0..5 {
        trial.flows().await;
    }
    let tally = trial.complete().await;
    assert_eq!(tally.losses_of_connection, 0, "{tally}");
}

#[tokio::test]
async fn a_network_that_is_cut_again_and_again_loses_nothing() {
    let trial = Trial::new().await;
    for _ in 0..6 {
        trial.cut().await;
        trial.ledger.more(30).await;
        trial.back().await;
    }
    trial.flows().await;
    let tally = trial.complete().await;
    assert!(tally.resumed >= 6 * 4, "{tally}");
}

#[tokio::test]
async fn a_network_that_is_away_for_long_loses_nothing() {
    let trial = Trial::new().await;
    trial.away().await;
    trial.ledger.more(600).await;
    trial.network.close(false);
    trial.back().await;
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn a_network_that_carries_nothing_for_a_while_loses_nothing() {
    let trial = Trial::new().await;
    // Both directions, then only what the server says; what was on its way arrives late, or with its connection never.
    trial.network.freeze(true);
    trial.ledger.more(150).await;
    trial.network.freeze(false);
    trial.flows().await;
    trial.network.stall(true);
    trial.ledger.more(150).await;
    trial.network.stall(false);
    trial.flows().await;
    trial.network.freeze(true);
    trial.ledger.more(150).await;
    trial.network.cut();
    trial.network.freeze(false);
    trial.cut().await;
    trial.back().await;
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn a_slow_network_that_is_cut_loses_nothing() {
    let trial = Trial::new().await;
    trial.network.delay(Duration::from_millis(80));
    for _ in 0..3 {
        trial.ledger.more(60).await;
        trial.cut().await;
        trial.back().await;
    }
    trial.network.delay(Duration::ZERO);
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn a_network_that_cuts_in_the_middle_of_a_frame_loses_nothing() {
    let trial = Trial::new().await;
    // Each connection ends after a number of bytes that no frame knows of; a replay is cut like everything else.
    for bytes in [1_501, 4_003, 9_001, 20_011] {
        trial.network.cut_after(Some(bytes));
        // Each poll is a connection of its own, and may be shorter than that.
        let polling = |witness: &Witness| witness.kind == Kind::Polling && bytes > 2_000;
        for (witness, lost) in trial.losses() {
            if !polling(witness) {
                witness
                    .until("to be cut", |view| view.lost >= lost + 2)
                    .await;
            }
        }
        trial.ledger.more(30).await;
    }
    trial.network.cut_after(None);
    trial.flows().await;
    trial.complete().await;
}
