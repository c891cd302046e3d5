//! Crowds: many that come at once are few statements. `CROWD=2000` has more of them, and prints what they cost.

use super::*;
use crate::harness::Proxy;
use crate::harness::crowd::Crowd;

#[expect(clippy::disallowed_methods, reason = "how many is said from outside")]
fn crowd() -> usize {
    let said = std::env::var("CROWD").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(200)
}

/// Connections that SQL says are in rooms.
async fn connections(database: &Database) -> String {
    let sum = "select coalesce(sum(connections), 0) from rowcast.presence";
    database.value(sum).await
}

/// Transactions that the database has committed.
async fn commits(database: &Database) -> u64 {
    let sql = "select xact_commit from pg_stat_database where datname = current_database()";
    database.value(sql).await.parse().expect("a number")
}

#[tokio::test]
async fn a_crowd_that_comes_back_at_once_is_a_handful_of_statements() {
    let clients = crowd();
    let scene = Scene::with(&[ON]).await;
    let second = Server::with(&scene.database, &[ON]).await;
    let way = Proxy::to(scene.server.address()).await;
    let began = std::time::Instant::now();
    let mut crowd = Crowd::join(way.address(), clients, clients / 4).await;
    let joined = began.elapsed();
    let all = clients.to_string();
    until_for(Duration::from_secs(10), "all in SQL", async || {
        (connections(&scene.database).await == all).then_some(())
    })
    .await;
    let written = scene
        .server
        .metric("rowcast_presence_writes_total", &[])
        .await;
    assert!(
        written < 20.0 + 15.0 * joined.as_secs_f64(),
        "{written} in {joined:?}"
    );
    let before = second.metric("rowcast_presence_writes_total", &[]).await;
    way.lead(second.address());
    scene.server.crash().await;
    let began = std::time::Instant::now();
    crowd.returned(clients).await;
    until_for(Duration::from_secs(30), "all in SQL again", async || {
        (connections(&scene.database).await == all).then_some(())
    })
    .await;
    let back = began.elapsed();
    let again = second.metric("rowcast_presence_writes_total", &[]).await - before;
    let rows = second
        .metric("rowcast_presence_rows_written_total", &[])
        .await;
    eprintln!(
        "{clients} joins in {joined:?}: {written} statements; back in {back:?}: {again} statements, {rows} rows"
    );
    assert!(
        again < 20.0 + 15.0 * back.as_secs_f64(),
        "{again} in {back:?}"
    );
}

#[tokio::test]
async fn off_costs_nothing() {
    let clients = crowd();
    let mut cost = Vec::new();
    for presence in ["off", "on"] {
        let scene = Scene::with(&[("ROWCAST_PRESENCE", presence)]).await;
        let before = commits(&scene.database).await;
        let began = std::time::Instant::now();
        let _crowd = Crowd::join(scene.server.address(), clients, clients / 4).await;
        let joined = began.elapsed();
        // What a backend has done is counted there a moment later.
        let after = until_for(Duration::from_secs(10), "the figures", async || {
            let now = commits(&scene.database).await;
            (now > before + 5).then_some(now)
        })
        .await;
        let rows = "select (select count(*) from rowcast.presence_servers) + (select count(*) from rowcast.presence_of_servers)";
        let rows = scene.database.value(rows).await;
        let written = scene
            .server
            .metric("rowcast_presence_writes_total", &[])
            .await;
        eprintln!(
            "{presence}: {clients} joins in {joined:?}, {} commits, {written} of presence",
            after - before
        );
        cost.push((rows, written));
    }
    assert_eq!(cost[0], ("0".to_owned(), 0.0));
    assert!(cost[1].1 >= 1.0);
}
