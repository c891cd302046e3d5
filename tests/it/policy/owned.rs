//! The policy is its owner's: no migration, no grant and no restart changes it. And whom it runs as.

use serde_json::json;

use super::{bearer_at, guarded, joining};
use crate::doctor::Role;
use crate::harness::token::JWT;
use crate::harness::{Database, Launch, Pooler, Postgres, Server, Stock};
use crate::pooler::TOLERANT;

const THEIRS: &str = "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language sql stable \
     return room = 'conversation:theirs'";
const BODY: &str = "select pg_get_function_sqlbody('rowcast.may_join(jsonb, text)'::regprocedure)";

#[tokio::test]
async fn nothing_of_ours_replaces_the_owners_policy() {
    let scene = guarded(&[]).await;
    scene.database.run(THEIRS).await;
    let theirs = scene.database.value(BODY).await;
    assert!(theirs.contains("theirs"), "{theirs}");
    let url = &scene.database.url;
    Launch::command(["migrate"]).database(url).succeed().await;
    // Applied once more, by whoever lost the record of it.
    scene.database.run("delete from rowcast.migrations where version = 31; drop function rowcast.claims_allow, rowcast.has_prefix").await;
    Launch::command(["migrate"]).database(url).succeed().await;
    let role = Role::granted(&scene.database, []).await;
    let server = Server::with(&scene.database, &JWT).await;
    assert_eq!(scene.database.value(BODY).await, theirs);
    let client = bearer_at(
        &scene.stock,
        server.address(),
        "one",
        &json!({ "rooms": ["*"] }),
    )
    .await;
    assert_eq!(joining(&client, "theirs").await, "ok");
    assert_eq!(joining(&client, "42").await, "forbidden");
    role.gone(&scene.database).await;
}

#[tokio::test]
async fn a_policy_that_was_there_before_the_migrations_stays() {
    let database = Database::empty().await;
    database.run("create schema rowcast").await;
    database.run(THEIRS).await;
    let theirs = database.value(BODY).await;
    Launch::command(["migrate"])
        .database(&database.url)
        .succeed()
        .await;
    assert_eq!(database.value(BODY).await, theirs);
}

/// Says as whom it runs.
const WHO: &str = "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language sql stable \
     return room = 'conversation:' || current_user";

#[tokio::test]
async fn a_server_with_few_rights_asks_as_the_policys_role_once_it_may() {
    let database = Database::chat().await;
    database.run(WHO).await;
    let granted = Role::granted(&database, []).await;
    let stock = Stock::start();
    let server = start(&granted.url).await;
    let client = bearer_at(&stock, server.address(), "one", &json!({})).await;
    assert_eq!(joining(&client, "rowcast_policy").await, "ok");
    assert_eq!(joining(&client, &granted.name).await, "forbidden");
    // Without the role it asks as itself, and says so.
    database.run(&format!("revoke execute on function rowcast.ask_may_join(text[], bigint[], text[]) from {}; grant execute on function rowcast.may_join(jsonb, text) to {}", granted.name, granted.name)).await;
    let alone = start(&granted.url).await;
    let client = bearer_at(&stock, alone.address(), "one", &json!({})).await;
    assert_eq!(joining(&client, &granted.name).await, "ok");
    alone
        .log("who the policy runs as", |line| {
            line.to_string().contains("may not become rowcast_policy")
        })
        .await;
    // The one that had it goes on by itself.
    let client = bearer_at(&stock, server.address(), "one", &json!({})).await;
    for _ in 0..2 {
        joining(&client, &granted.name).await;
    }
    assert_eq!(joining(&client, &granted.name).await, "ok");
    drop((server, alone));
    granted.gone(&database).await;
}

async fn start(url: &str) -> Server {
    let mut launch = Launch::serve().database(url);
    for (name, value) in JWT {
        launch = launch.env(name, value);
    }
    launch.start().await
}

#[tokio::test]
async fn a_policy_is_asked_through_a_pooler_and_leaves_nothing_there() {
    let (postgres, direct) = Postgres::with_chat().await;
    direct.run("create table public.seen (n int)").await;
    direct
        .run(
            "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language plpgsql as $$
             begin
               perform set_config('my.setting', 'kept', false);
               if room = 'conversation:raises' then raise exception 'no'; end if;
               return current_user = 'rowcast_policy';
             end $$",
        )
        .await;
    let pooler = Pooler::start(&postgres, "transaction", 6, TOLERANT).await;
    let server = start(&pooler.url()).await;
    let stock = Stock::start();
    let mut client = bearer_at(&stock, server.address(), "one", &json!({})).await;
    for number in 0..10 {
        assert_eq!(joining(&client, &number.to_string()).await, "ok");
        assert_eq!(joining(&client, "raises").await, "forbidden");
    }
    client.cut();
    assert!(client.connected().await);
    direct.say("3", "still in").await;
    assert_eq!(client.event("message:new").await.body(), "still in");
    let left = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
    assert_eq!(direct.value(left).await, "0");
}

#[tokio::test]
async fn the_doctor_looks_at_the_policy() {
    let database = Database::chat().await;
    let said = async || {
        let mut doctor = Launch::command(["doctor", "--json"]).database(&database.url);
        for (name, value) in JWT {
            doctor = doctor.env(name, value);
        }
        let report: serde_json::Value =
            serde_json::from_str(&doctor.end().await.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("findings").clone();
        let policy = findings
            .iter()
            .filter(|finding| finding["check"] == "policy");
        policy
            .map(|finding| {
                format!(
                    "{}: {}",
                    finding["level"].as_str().unwrap_or_default(),
                    finding["said"].as_str().unwrap_or_default()
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let shipped = said().await;
    assert!(
        shipped.starts_with("ok: ") && shipped.contains("the shipped one"),
        "{shipped}"
    );
    database.run(THEIRS).await;
    let replaced = said().await;
    assert!(
        replaced.starts_with("ok: ") && replaced.contains("replaced by its owner"),
        "{replaced}"
    );
    database
        .run("create table hidden (room text); create or replace function rowcast.may_join(claims jsonb, room text) returns boolean \
              language sql stable begin atomic; select exists (select from public.hidden h where h.room = may_join.room); end")
        .await;
    let ungranted = said().await;
    assert!(
        ungranted.starts_with("warning: ")
            && ungranted.contains("permission denied for table hidden"),
        "{ungranted}"
    );
    database
        .run("grant select on rowcast.events to rowcast_policy")
        .await;
    let reads = said().await;
    assert!(
        reads.contains("rowcast_policy may read rowcast.events"),
        "{reads}"
    );
    database
        .run("drop function rowcast.may_join(jsonb, text)")
        .await;
    let gone = said().await;
    assert!(
        gone.starts_with("failure: ") && gone.contains("is not there"),
        "{gone}"
    );
}
