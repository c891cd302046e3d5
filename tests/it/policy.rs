//! Who may join which room: what the shipped policy allows, what becomes of one that misbehaves, and what ends when a right ends.

mod away;
mod documented;
mod hostile;
mod lease;
mod owned;
mod rooms;

use serde_json::{Value, json};

use crate::harness::token::{JWT, token};
use crate::harness::{Client, Scene, Server, Stock};

/// A policy that does what the table `rule` says of a room, and lets everybody into the others.
const RULES: &str = "
create table rule (room text primary key, act text not null);
grant select on rule to rowcast_policy;
create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language plpgsql as $$
declare act text;
begin
  select r.act into act from public.rule r where r.room = may_join.room;
  if act = 'raise' then raise exception 'this room is broken'; end if;
  if act = 'hang' then perform pg_sleep(3600); end if;
  if act = 'null' then return null; end if;
  return act is distinct from 'deny';
end $$";

const SHORT: (&str, &str) = ("ROWCAST_POLICY_LEASE", "1s");

/// A server that asks for tokens, with these variables beside.
async fn guarded(variables: &[(&str, &str)]) -> Scene {
    let all: Vec<_> = JWT.into_iter().chain(variables.iter().copied()).collect();
    Scene::with(&all).await
}

/// The same, with the policy that does what a table says.
async fn ruled(variables: &[(&str, &str)]) -> Scene {
    let scene = guarded(variables).await;
    scene.database.run(RULES).await;
    scene
}

/// From now on the policy does this for a conversation.
async fn rule(scene: &Scene, contact: &str, act: &str) {
    let rule = format!(
        "insert into rule values ('conversation:{contact}', '{act}') on conflict (room) do update set act = excluded.act"
    );
    scene.database.run(&rule).await;
}

fn options(subject: &str, claims: &Value) -> Value {
    json!({ "transports": ["websocket"], "auth": { "token": token(subject, claims) } })
}

/// A connected client with a token, at this address.
async fn bearer_at(stock: &Stock, address: &str, subject: &str, claims: &Value) -> Client {
    let mut client = stock.open(address, &options(subject, claims), &[]).0;
    client.connected().await;
    client.event("rowcast:ready").await;
    client
}

async fn bearer(scene: &Scene, subject: &str, claims: &Value) -> Client {
    bearer_at(&scene.stock, scene.server.address(), subject, claims).await
}

/// What a join is answered with: `ok`, or the code of the error.
async fn joining(client: &Client, contact: &str) -> String {
    let answer = client.ask("join:conversation", json!([contact])).await;
    let code = answer["error"]["code"].as_str().map(str::to_owned);
    code.unwrap_or_else(|| {
        assert_eq!(answer["ok"], true, "{answer}");
        "ok".to_owned()
    })
}

async fn metric(server: &Server, name: &str) -> f64 {
    server.metric(name, &[]).await
}
