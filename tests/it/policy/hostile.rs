//! A policy that misbehaves: it denies the one room, changes nothing, keeps nothing, and holds up nobody.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{bearer, guarded, joining, metric, rule, ruled};
use crate::harness::wait::until;

/// Does what the contact's name says.
const HOSTILE: &str = "
create table seen (room text);
grant select, insert on seen to public;
create function public.with_another_role() returns boolean language plpgsql set role = 'none' as $$
begin perform from rowcast.events; return true; end $$;
create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language plpgsql as $$
begin
  case split_part(room, ':', 2)
    when 'raises' then raise exception 'no';
    when 'raises oddly' then raise exception 'no' using errcode = 'XX001';
    when 'null' then return null;
    when 'hangs' then perform pg_sleep(3600);
    when 'clings' then
      begin perform pg_sleep(3600); exception when query_canceled then perform pg_sleep(3600); end;
    when 'writes' then insert into public.seen values (room);
    when 'writes after all' then
      perform set_config('transaction_read_only', 'off', true);
      insert into public.seen values (room);
    when 'reads events' then perform from rowcast.events;
    when 'reads sessions' then perform from rowcast.sessions;
    when 'makes a table' then execute 'create temp table mine (n int)';
    when 'notifies' then perform pg_notify('rowcast', '');
    when 'sets' then
      perform set_config('statement_timeout', '0', false), set_config('search_path', 'public', false),
              set_config('application_name', 'somebody else', false), set_config('my.setting', 'kept', false);
    when 'finds it set' then
      return coalesce(current_setting('my.setting', true), '') = 'kept' or current_setting('search_path') <> 'pg_catalog, pg_temp';
    when 'locks' then perform pg_advisory_lock(4711), pg_advisory_lock_shared(4712), pg_advisory_xact_lock(4713);
    when 'resets its role' then reset role; perform from rowcast.events;
    when 'sets its role' then execute format('set local role %I', session_user); perform from rowcast.events;
    when 'configures its role' then perform set_config('role', 'none', true); perform from rowcast.events;
    when 'sets its session' then set session authorization default; perform from rowcast.events;
    when 'calls who sets its role' then return public.with_another_role();
    when 'is who' then return current_user = 'rowcast_policy';
    else null;
  end case;
  return true;
end $$";

#[tokio::test]
async fn a_policy_that_misbehaves_denies_the_one_room() {
    let scene = guarded(&[("ROWCAST_POLICY_TIMEOUT", "300ms")]).await;
    scene.database.run(HOSTILE).await;
    let client = bearer(&scene, "one", &json!({})).await;
    let forbidden = [
        "raises",
        "raises oddly",
        "null",
        "writes",
        "writes after all",
        "reads events",
        "reads sessions",
        "makes a table",
        "resets its role",
        "sets its role",
        "configures its role",
        "sets its session",
        "calls who sets its role",
    ];
    for contact in forbidden {
        assert_eq!(joining(&client, contact).await, "forbidden", "{contact}");
    }
    for contact in ["hangs", "clings"] {
        let begun = Instant::now();
        assert_eq!(joining(&client, contact).await, "unavailable", "{contact}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
    for contact in ["sets", "locks", "notifies", "is who", "42"] {
        assert_eq!(joining(&client, contact).await, "ok", "{contact}");
    }
    for _ in 0..8 {
        assert_eq!(
            joining(&client, "finds it set").await,
            "forbidden",
            "a setting was kept"
        );
    }
    assert_eq!(scene.database.value("select count(*) from seen").await, "0");
    let server = &scene.server;
    assert!(metric(server, "rowcast_policy_errors_total").await >= 7.0);
    assert!(metric(server, "rowcast_policy_timeouts_total").await >= 2.0);
    server
        .log("the policy's error", |line| {
            let said = line["fields"]["message"]
                .as_str()
                .or(line["message"].as_str());
            said.is_some_and(|said| said.contains("rowcast.may_join raised"))
        })
        .await;
    // The locks of a session outlive a transaction, and what catches its own cancellation outlives a time limit.
    for (what, left) in [
        (
            "locks to be given up",
            "select count(*) from pg_locks where locktype = 'advisory' and objid between 4711 and 4713",
        ),
        (
            "what hangs to be ended",
            "select count(*) from pg_stat_activity where datname = current_database() and query like '%may_join%' and state = 'active' and pid <> pg_backend_pid()",
        ),
    ] {
        until(what, async || {
            (scene.database.value(left).await == "0").then_some(())
        })
        .await;
    }
}

/// A policy may say who asks in a warning, and whole tables in an error.
#[tokio::test]
async fn what_a_policy_says_beside_its_answer_is_not_logged_and_its_errors_are_cut() {
    let scene = guarded(&[]).await;
    scene
        .database
        .run(
            "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language plpgsql as $$ begin
               raise warning 'asked by %', claims;
               if room = 'conversation:long' then raise exception 'long: %', repeat('x', 1000000); end if;
               return true;
             end $$",
        )
        .await;
    let client = bearer(&scene, "whoever", &json!({})).await;
    assert_eq!(joining(&client, "42").await, "ok");
    assert_eq!(joining(&client, "long").await, "forbidden");
    scene
        .server
        .log("the policy's error", |line| {
            line["message"].to_string().contains("long: xxx")
        })
        .await;
    for line in scene.server.lines() {
        assert!(!line.contains("asked by"), "{line}");
        assert!(line.len() < 5_000, "{} bytes", line.len());
    }
}

#[tokio::test]
async fn a_room_for_which_the_policy_hangs_holds_up_no_other_client() {
    let scene = ruled(&[("ROWCAST_POLICY_TIMEOUT", "3s")]).await;
    rule(&scene, "stuck", "hang").await;
    let waiting = bearer(&scene, "waiting", &json!({})).await;
    let mut other = bearer(&scene, "other", &json!({})).await;
    let stuck = waiting.ask_later("join:conversation", json!(["stuck"]));
    until("the policy to hang", async || {
        let asked = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
        (scene.database.value(asked).await != "0").then_some(())
    })
    .await;
    let begun = Instant::now();
    for number in 0..20 {
        assert_eq!(joining(&other, &format!("fine{number}")).await, "ok");
    }
    scene.database.say("fine7", "in time").await;
    assert_eq!(other.event("message:new").await.body(), "in time");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let answer = crate::harness::client::only(stuck.await);
    assert_eq!(answer["error"]["code"], "unavailable");
}

#[tokio::test]
async fn a_client_that_comes_back_is_put_out_of_what_it_may_not_be_in() {
    let scene = ruled(&[("ROWCAST_POLICY_TIMEOUT", "400ms")]).await;
    let mut client = bearer(&scene, "one", &json!({})).await;
    for contact in ["kept", "denied", "broken", "stuck", "also kept"] {
        client.join(contact).await;
    }
    scene.database.say("kept", "before").await;
    assert_eq!(client.event("message:new").await.body(), "before");
    rule(&scene, "denied", "deny").await;
    rule(&scene, "broken", "raise").await;
    rule(&scene, "stuck", "hang").await;
    client.cut();
    client.disconnected().await;
    for contact in ["kept", "denied", "broken", "stuck", "also kept"] {
        scene.database.say(contact, contact).await;
    }
    assert!(client.connected().await, "its other rooms go on");
    client.event("rowcast:ready").await;
    let mut left = Vec::new();
    for _ in 0..3 {
        let event = client.event("rowcast:left").await;
        assert_eq!(
            event.offset(),
            None,
            "a stock client would take it for an offset"
        );
        left.push(event.payload().to_string());
    }
    left.sort();
    assert_eq!(
        left,
        [
            r#"{"reason":"forbidden","room":"conversation:broken"}"#,
            r#"{"reason":"forbidden","room":"conversation:denied"}"#,
            r#"{"reason":"unavailable","room":"conversation:stuck"}"#,
        ]
    );
    assert_eq!(client.event("message:new").await.body(), "kept");
    assert_eq!(client.event("message:new").await.body(), "also kept");
    scene.assert_nothing_more("kept", &mut client).await;
    let stored = "select string_agg(room, ' ' order by room) from rowcast.sessions, jsonb_object_keys(rooms) room";
    assert_eq!(
        scene.database.value(stored).await,
        "conversation:also kept conversation:kept"
    );
}
