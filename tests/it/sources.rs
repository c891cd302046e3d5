//! Attached tables that can't be served as they were attached: told while the server runs, each in words that mend it.

mod breakages;
mod scene;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::database::{run, value};
use crate::harness::http;
use crate::harness::wait::{until, until_for, within};
use crate::harness::{Database, Server};
use breakages::BREAKAGES;
use scene::{LOOK, Scene, attach};

#[tokio::test]
async fn every_breakage_is_told_in_words_that_mend_it_and_ends() {
    let tables: String = BREAKAGES
        .iter()
        .map(|breakage| {
            let table = breakage.table;
            format!(
                "create table {table} (id int primary key, chat text, kind text, extra text, number int); {};",
                attach(table)
            )
        })
        .collect();
    let scene = Scene::new(&tables).await;
    scene.told(&json!({})).await;
    scene.assert_history().await;

    let mut problems = serde_json::Map::new();
    for breakage in &BREAKAGES {
        let table = breakage.table;
        scene.database.run(&scene.filled(breakage.sql, table)).await;
        let told = breakage.problems.iter();
        let reason = scene.reason().await;
        let told: Vec<_> = told
            .map(|text| scene.filled(text, table).replace("{reason}", &reason))
            .collect();
        problems.insert(format!("public.{table}"), told.into());
    }
    scene.told(&Value::Object(problems.clone())).await;
    for (source, told) in &problems {
        let told = told.as_array().expect("texts");
        assert_eq!(
            scene.problems_of(source).await,
            told.len() as f64,
            "{source}"
        );
        for problem in told {
            scene
                .logged("WARN", source, problem.as_str().expect("a text"))
                .await;
        }
    }
    // Nothing that is broken hides the others, and what is left out is said.
    let page = scene.assert_history().await;
    assert_eq!(page["incomplete"], true, "two tables are not to be read");
    scene
        .server
        .log("the table that fails", |line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("history is read without a table: ") && message.contains("public.")
        })
        .await;
    // It may be in one of those.
    scene
        .server
        .refused("42", "messages?before=99", 503, "unavailable")
        .await;
    assert_eq!(scene.problems_of("public.whole").await, 0.0);

    for breakage in &BREAKAGES {
        scene.database.run(&scene.mend(breakage)).await;
    }
    scene.told(&json!({})).await;
    for (source, told) in &problems {
        for problem in told.as_array().expect("texts") {
            let over = format!("over: {}", problem.as_str().expect("a text"));
            scene.logged("INFO", source, &over).await;
        }
        assert_eq!(scene.problems_of(source).await, 0.0, "{source}");
    }
    let page = scene.assert_history().await;
    assert_eq!(page["incomplete"], Value::Null, "{page}");
    assert_one_line_each(&scene.server);
    scene.end().await;
}

/// A problem is one line while it lasts, however often the server looks.
fn assert_one_line_each(server: &Server) {
    let mut warnings: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|line| line.contains("\"WARN\"") && line.contains("\"source\""))
        .filter_map(|line| Some(line.split_once("\"fields\"")?.1.to_owned()))
        .collect();
    let all = warnings.len();
    warnings.sort();
    warnings.dedup();
    assert_eq!(warnings.len(), all, "{warnings:#?}");
}

#[tokio::test]
async fn what_befalls_all_tables_at_once_is_told_too() {
    let scene = Scene::new("").await;
    let Scene {
        database,
        role,
        other,
        ..
    } = &scene;
    let name = database.value("select current_database()").await;
    let breakages = [
        (
            format!("alter role {other} in database {name} set session_replication_role = replica"),
            format!("session_replication_role is replica for role {other} in database {name}, whose writes are not sent: alter role {other} in database {name} reset session_replication_role"),
            None,
        ),
        (
            format!("set allow_system_table_mods = on;
                 create subscription {name}_s connection 'host=nowhere' publication p with (connect = false, slot_name = none);
                 insert into pg_subscription_rel select oid, 'whole'::regclass, 'r', null from pg_subscription where subname = '{name}_s';
                 reset allow_system_table_mods"),
            format!("the subscription {name}_s writes it, and rows that it applies are not sent: attach the table where it is published, or attach it again with capture => 'row' and always => true"),
            Some(format!("drop subscription {name}_s")),
        ),
        (
            format!("revoke usage on schema public from public, {role}"),
            format!("history may not read it: grant usage on schema public to {role}"),
            None,
        ),
        (
            "drop schema public cascade".to_owned(),
            "the table is gone: make it and attach it, or select rowcast.detach('public.whole')".to_owned(),
            Some(format!("create schema public; grant usage on schema public to {role}; create table whole (id int primary key, chat text, kind text); {}", attach("whole"))),
        ),
    ];
    for (sql, problem, mend) in breakages {
        database.run(&sql).await;
        scene.told(&json!({"public.whole": [problem]})).await;
        scene.logged("WARN", "public.whole", &problem).await;
        let said = problem.rsplit_once(": ").expect("a mend").1.to_owned();
        database.run(&mend.unwrap_or(said)).await;
        scene.told(&json!({})).await;
    }

    // The tables can't even be looked at.
    let revoke = format!("revoke select on rowcast.sources from {role}");
    database.run(&format!("{revoke}; {LOOK}")).await;
    let blind = until("readiness to say so", async || {
        let answer = scene.server.get("/readyz").await;
        let text = answer.json()["degraded"]["sources"].as_str()?.to_owned();
        (answer.status == 200).then_some(text)
    })
    .await;
    assert!(
        blind.contains("permission denied for view sources"),
        "{blind}"
    );
    database
        .run(&format!("grant select on rowcast.sources to {role}"))
        .await;
    scene.told(&json!({})).await;
    scene.end().await;
}

#[tokio::test]
async fn an_attach_and_a_detach_are_seen_at_once() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    database
        .run("create table m (id int primary key, c text)")
        .await;
    let series = "rowcast_source_problems{source=\"public.m\"} 0";
    let shown = async || {
        let page = http::get(server.admin(), "/metrics", &[]).await;
        page.body.contains(series)
    };
    // Without a notification each of these turns takes up to twenty seconds.
    within("five tables to come and go", async {
        for _ in 0..5 {
            database
                .run("select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new')")
                .await;
            until("the table's metric", async || shown().await.then_some(())).await;
            database.run("select rowcast.detach('m')").await;
            until("the metric to go", async || (!shown().await).then_some(())).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_problem_that_nobody_notifies_of_is_seen_within_seconds() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let counted = async |least: f64| {
        until_for(Duration::from_secs(30), "the server to look", async || {
            let problems = server
                .metric("rowcast_source_problems", &["public.m\""])
                .await;
            (problems == least).then_some(())
        })
        .await;
    };
    // Once this is seen, no notification is left that would make the server look.
    database
        .run(
            "create table m (id int primary key, c text);
              select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new');
              alter table m add column media text",
        )
        .await;
    counted(1.0).await;
    database.run("alter table m drop column media").await;
    counted(0.0).await;
}

#[tokio::test]
async fn neither_a_setting_nor_a_restore_makes_a_problem() {
    let database = Database::chat().await;
    database
        .run(
            "create type mood as enum ('fine'); create table m (id int primary key, c text, feel mood);
             select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new')",
        )
        .await;
    let mut connection = database.connection().await;
    run(
        &mut connection,
        "set quote_all_identifiers = on; set search_path = pg_catalog",
    )
    .await;
    let ask =
        "select string_agg(source || problems::text, ' ' order by source) from rowcast.sources";
    let said = value(&mut connection, ask).await;
    assert_eq!(said, "public.m{} public.messages{}");
    // A migration that writes the functions anew says so by an update.
    database
        .run(
            "update rowcast.attached set row_sql = row_sql where source = 'public.m';
             create or replace function rowcast.capture_public_m_insert() returns trigger language plpgsql security definer
             as 'begin return null; end'",
        )
        .await;
    assert_eq!(database.value(ask).await, "public.m{} public.messages{}");
    // The function's row is of a later transaction, as after a restore, and its text is the same.
    database
        .run("grant execute on function rowcast.capture_public_m_insert() to public")
        .await;
    assert_eq!(database.value(ask).await, "public.m{} public.messages{}");
}

#[test]
fn every_problem_has_its_row_in_the_reference() {
    let docs = include_str!("../../docs/sql.md");
    let problems = docs.split("### Problems").nth(1).expect("the section");
    let told: Vec<_> = problems
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    for problem in BREAKAGES.iter().flat_map(|breakage| breakage.problems) {
        let found = told.iter().any(|told| {
            // What stands for a name is `...`, and the mend has a column of its own.
            let mut rest = *problem;
            told.split("...").enumerate().all(|(place, piece)| {
                let at = rest.find(piece).filter(|at| place > 0 || *at == 0);
                at.map(|at| rest = &rest[at + piece.len()..]).is_some()
            })
        });
        assert!(found, "docs/sql.md lists {told:#?}, and not: {problem}");
    }
}
