//! docs/policies.md, run: each of its policies, as the role that asks, with rooms that it allows and rooms that it does not.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::{bearer_at, joining};
use crate::harness::token::JWT;
use crate::harness::{Database, Server, Stock};

/// The SQL of a section.
fn blocks(section: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policies.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let start = page
        .find(&format!("\n## {section}\n"))
        .expect("the section is there");
    let rest = &page[start + 4..];
    let section = &rest[..rest.find("\n## ").unwrap_or(rest.len())];
    let parts = section.split("```sql\n").skip(1);
    let blocks: Vec<_> = parts
        .map(|part| part.split("```").next().unwrap_or_default().to_owned())
        .collect();
    assert!(!blocks.is_empty(), "{section}");
    blocks
}

/// Runs the section's policy beside these rows, and asks as a server does.
async fn check(section: &str, rows: &str, cases: &[(&str, &str, bool)]) -> Database {
    let database = Database::chat().await;
    for block in blocks(section) {
        database.run(&block).await;
    }
    database.run(rows).await;
    for (claims, room, allowed) in cases {
        let mut ask = "begin read only; set local search_path = pg_catalog, pg_temp; set local role rowcast_policy;".to_owned();
        write!(
            ask,
            "select (rowcast.may_join('{claims}', '{room}') is true)::text"
        )
        .expect("a String takes everything");
        let mut connection = database.connection().await;
        let answer = crate::harness::database::value(&mut connection, &ask).await;
        assert_eq!(answer, allowed.to_string(), "{section}: {claims} {room}");
    }
    database
}

#[tokio::test]
async fn claims_alone() {
    let cases = [
        (r#"{"role":"admin"}"#, "conversation:1", true),
        (r#"{"role":"agent"}"#, "conversation:1", false),
        (r#"{"conversations":[1]}"#, "conversation:1", true),
        ("{}", "conversation:1", false),
    ];
    check("Claims alone", "", &cases).await;
}

#[tokio::test]
async fn a_table_of_members() {
    let rows = "insert into members values ('one', 'conversation:1'), ('two', 'order:2')";
    let cases = [
        (r#"{"sub":"one"}"#, "conversation:1", true),
        (r#"{"sub":"one"}"#, "order:2", false),
        (r#"{"sub":"two"}"#, "order:2", true),
        ("{}", "conversation:1", false),
    ];
    check("A table of members", rows, &cases).await;
}

#[tokio::test]
async fn a_tenant_column() {
    let rows = "insert into customers values ('1', 'a'), ('2', 'b')";
    let cases = [
        (r#"{"tenant":"a"}"#, "conversation:1", true),
        (r#"{"tenant":"a"}"#, "conversation:2", false),
        (r#"{"tenant":"a"}"#, "order:1", false),
        ("{}", "conversation:1", false),
    ];
    check("A tenant column", rows, &cases).await;
}

#[tokio::test]
async fn agents_see_what_is_assigned_to_them() {
    let section = "Agents see what is assigned to them";
    let rows = "insert into agents select 'agent-' || n, n <> 9 from generate_series(1, 5000) n;
        insert into assignments select n, 'agent-' || (n % 5000 + 1), null from generate_series(1, 20000) n;
        insert into assignments values ('42', 'agent-7', null), ('43', 'agent-7', now() - interval '1 hour'), ('42', 'agent-9', null);
        analyze agents, assignments";
    let cases = [
        (r#"{"sub":"agent-7"}"#, "conversation:42", true),
        (r#"{"sub":"agent-7"}"#, "conversation:43", false),
        (r#"{"sub":"agent-9"}"#, "conversation:42", false),
        (r#"{"sub":"agent-7"}"#, "order:42", false),
    ];
    let database = check(section, rows, &cases).await;
    let explain = blocks(section).pop().expect("the section ends with it");
    let plan: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .fetch_all(&database.pool)
        .await
        .expect("it can be explained");
    let plan = plan
        .iter()
        .map(|(line,)| line.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    for index in ["assignments_pkey", "agents_pkey"] {
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
    }
    let server = Server::with(&database, &JWT).await;
    let stock = Stock::start();
    let mut agent = bearer_at(&stock, server.address(), "agent-7", &json!({})).await;
    assert_eq!(joining(&agent, "42").await, "ok");
    assert_eq!(joining(&agent, "43").await, "forbidden");
    database.say("42", "for the agent").await;
    assert_eq!(agent.event("message:new").await.body(), "for the agent");
}
