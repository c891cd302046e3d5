//! Transactions that stay open: they delay nobody, and what they wrote comes when they commit.

use crate::harness::Trial;
use crate::harness::ledger::Key;
use crate::harness::writers::Hand;

/// A transaction that has written to two rooms and goes on.
async fn open(trial: &Trial) -> (Hand, Vec<Key>) {
    let mut hand = Hand::on(&trial.database.url, &trial.ledger)
        .await
        .expect("a connection");
    hand.run("begin").await.expect("a transaction");
    let mut keys = Vec::new();
    for contact in ["a", "b", "a", "c"] {
        keys.push(hand.message(contact, "late").await.expect("a message"));
    }
    (hand, keys)
}

async fn commit((mut hand, keys): (Hand, Vec<Key>)) {
    hand.run("commit").await.expect("it commits");
    hand.committed(&keys);
}

#[tokio::test]
async fn a_transaction_that_is_open_for_the_whole_run_delays_nobody() {
    let trial = Trial::new().await;
    let late = open(&trial).await;
    for _ in 0..5 {
        trial.flows().await;
    }
    commit(late).await;
    let tally = trial.complete().await;
    assert_eq!(tally.losses_of_connection, 0, "{tally}");
}

#[tokio::test]
async fn transactions_that_are_open_while_clients_come_and_go_are_delivered_once() {
    let mut trial = Trial::new().await;
    // Open before, while and after the clients are away, and committed at each of those times.
    let over_all = open(&trial).await;
    let until_away = open(&trial).await;
    let until_back = open(&trial).await;
    trial.ledger.more(30).await;
    trial.away().await;
    commit(until_away).await;
    trial.ledger.more(30).await;
    let while_away = open(&trial).await;
    trial.ledger.more(30).await;
    trial.network.close(false);
    trial.back().await;
    commit(until_back).await;
    commit(while_away).await;
    trial.flows().await;
    // And over the end of the server.
    let over_the_end = open(&trial).await;
    trial.ledger.more(30).await;
    trial.crash().await;
    trial.ledger.more(30).await;
    trial.replace().await;
    trial.back().await;
    commit(over_the_end).await;
    trial.cut().await;
    trial.back().await;
    commit(over_all).await;
    trial.flows().await;
    trial.complete().await;
}
