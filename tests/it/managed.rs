//! Managed services: functions that raise or are refused cost exactness after a crash at most, and are said once.

use crate::harness::{Database, Launch, Postgres, Server, Stock};

/// As Aurora has it below `wal_level = logical`.
const RAISES: &str = "
do $$ declare f text; begin
  foreach f in array array['pg_current_wal_lsn', 'pg_current_wal_insert_lsn', 'pg_current_wal_flush_lsn'] loop
    execute format('alter function pg_catalog.%1$I() rename to %1$s_real', f);
    execute format('create function pg_catalog.%I() returns pg_lsn language plpgsql as %L', f,
      $b$ begin raise exception 'wal_level must be set to ''logical''' using errcode = '55000'; end $b$);
  end loop; end $$;";

const REVOKED: &str = "
create role of_the_service login;
grant all on database postgres to of_the_service;
grant all on schema public to of_the_service;
revoke execute on function pg_control_system(), pg_control_checkpoint(), pg_current_wal_lsn(), pg_current_wal_insert_lsn(),
  pg_current_wal_flush_lsn() from public";

async fn serves(database: &Database, crash: Option<&mut Postgres>) {
    let server = Server::on(database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "hello").await;
    assert_eq!(client.event("message:new").await.body(), "hello");
    let offset = server.offset("42").await;
    database.say("42", "again").await;
    let events = server.read("42", &format!("events?after={offset}")).await;
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1));
    client.event("message:new").await;
    if let Some(postgres) = crash {
        postgres.crash().await;
        postgres.up().await;
        client.event("rowcast:resync").await;
        database.say("42", "after").await;
        assert_eq!(client.event("message:new").await.body(), "after");
        server
            .refused(
                "42",
                &format!("events?after={offset}"),
                410,
                "offset_expired",
            )
            .await;
    }
    let said = server.lines();
    let said = said
        .iter()
        .filter(|line| line.contains("does not let us call"));
    assert_eq!(said.count(), 1, "once");
}

#[tokio::test]
async fn a_service_whose_functions_raise_is_served_and_a_crash_is_told() {
    let (mut postgres, database) = Postgres::with_chat().await;
    database.run(RAISES).await;
    serves(&database, Some(&mut postgres)).await;
}

#[tokio::test]
async fn a_service_that_revokes_them_is_migrated_and_served() {
    let postgres = Postgres::start().await;
    Database::at(postgres.url()).run(REVOKED).await;
    let url = postgres.url().replacen("postgres@", "of_the_service@", 1);
    Launch::command(["migrate", "--chat"])
        .database(&url)
        .succeed()
        .await;
    serves(&Database::at(url), None).await;
}
