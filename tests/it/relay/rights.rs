//! Rights at an edge that can't ask Postgres, and is still told of events.

use serde_json::json;
use std::time::Duration;

use super::becomes;
use crate::harness::nats::Nats;
use crate::harness::token::{JWT, token};
use crate::harness::wait::until_for;
use crate::harness::{Client, Launch, Postgres, Server, Stock};

async fn joined(stock: &Stock, server: &Server) -> Client {
    let token = token("one", &json!({ "conversations": ["42"] }));
    let options = json!({ "auth": { "token": token } });
    let mut client = stock.open(server.address(), &options, &[]).0;
    client.connected().await;
    client.event("rowcast:ready").await;
    client.join("42").await;
    client
}

/// It would look at the database by itself too, after 15 seconds.
#[tokio::test]
async fn an_edge_that_can_not_ask_the_policy_does_not_deliver_what_it_is_told() {
    let nats = Nats::start().await;
    let (_postgres, database) = Postgres::with_chat().await;
    database.run("create role edge login").await;
    let grant = Launch::command(["grant", "edge", "--apply"]).database(&database.url);
    grant.succeed().await;
    let start = async |url: &str| {
        let launch = Launch::serve().database(url);
        let launch = launch.env("ROWCAST_RELAY", &nats.url());
        let launch = launch.env("ROWCAST_POLICY_LEASE", "1s");
        let launch = JWT
            .into_iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value));
        launch.start().await
    };
    let leader = start(&database.url).await;
    becomes(&leader, "leader").await;
    let edge = start(&database.url_as("edge")).await;
    becomes(&edge, "edge").await;
    let stock = Stock::start();
    let mut witness = joined(&stock, &leader).await;
    let mut client = joined(&stock, &edge).await;
    database.say("42", "for both").await;
    assert_eq!(witness.event("message:new").await.body(), "for both");
    assert_eq!(client.event("message:new").await.body(), "for both");

    database.run("alter role edge connection limit 0").await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'edge'";
    database.run(cut).await;
    let what = "the edge to find that it can't read";
    until_for(Duration::from_secs(8), what, async || {
        let mut lines = edge.lines().into_iter();
        lines
            .any(|line| line.contains("reading the outbox failed"))
            .then_some(())
    })
    .await;
    database.say("42", "not for it").await;
    assert_eq!(witness.event("message:new").await.body(), "not for it");
    let deny = "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language sql stable return false";
    database.run(deny).await;
    witness.event("rowcast:left").await;
    assert_eq!(client.arrived("message:new"), Vec::new());

    database.run("alter role edge connection limit -1").await;
    client.event("rowcast:left").await;
}
