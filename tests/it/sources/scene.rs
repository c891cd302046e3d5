//! A server with the documented rights alone, and what it says of attached tables.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::breakages::{ATTACH, Breakage, Mend};
use crate::harness::api::column;
use crate::harness::wait::until_for;
use crate::harness::{Database, Server};

/// Makes servers look now.
pub(super) const LOOK: &str = "select pg_notify('rowcast_sources', '')";

/// A database with one whole table, whose server has the documented rights alone.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) database: Database,
    pub(super) role: String,
    pub(super) other: String,
}

impl Scene {
    pub(super) async fn new(sql: &str) -> Self {
        let database = Database::chat().await;
        let name = database.value("select current_database()").await;
        let [role, other] = [format!("{name}_server"), format!("{name}_other")];
        let docs = include_str!("../../../docs/sql.md");
        let documented: String = docs
            .lines()
            .skip_while(|line| !line.starts_with("-- the role of `rowcast serve`"))
            .take_while(|line| !line.starts_with("-- a back end whose own"))
            .filter(|line| !line.contains("wa_messages"))
            .map(|line| line.replace("rowcast_server", &role) + "\n")
            .collect();
        database
            .run(&format!(
                "create role {role} login; create role {other}; {documented}
                 alter default privileges grant select on tables to {role};
                 select rowcast.detach('messages'); drop table message_statuses, messages;
                 create table whole (id int primary key, chat text, kind text);
                 insert into whole values (1, '42', 'a');
                 {}; {sql}",
                attach("whole"),
            ))
            .await;
        let server = Server::on(&Database::at(database.url_as(&role))).await;
        Self {
            server,
            database,
            role,
            other,
        }
    }

    /// Makes the server look until readiness says exactly this of the tables.
    pub(super) async fn told(&self, problems: &Value) {
        let right = match problems.as_object().is_some_and(serde_json::Map::is_empty) {
            true => json!({"status": "ready"}),
            false => json!({"status": "degraded", "degraded": {"sources": problems}}),
        };
        self.database.run(LOOK).await;
        let mut last = Value::Null;
        let found = until_for(Duration::from_secs(60), "the problems", async || {
            let answer = self.server.get("/readyz").await;
            last = answer.json();
            (answer.status == 200 && last == right).then_some(())
        });
        let _shown_below = timeout(Duration::from_secs(20), found).await;
        assert_eq!(last, right);
    }

    pub(super) async fn logged(&self, level: &str, source: &str, message: &str) {
        self.server
            .log(&format!("{level} {source}: {message}"), |line| {
                line["level"] == level && line["source"] == source && line["message"] == message
            })
            .await;
    }

    pub(super) async fn problems_of(&self, source: &str) -> f64 {
        let label = format!("source=\"{source}\"");
        self.server
            .metric("rowcast_source_problems", &[&label])
            .await
    }

    /// The healthy table's history goes on.
    pub(super) async fn assert_history(&self) -> Value {
        let page = self.server.read("42", "messages").await;
        assert_eq!(column(&page["messages"], "/id"), ["1"], "{page}");
        page
    }

    /// What the event of a row without a room says; nothing where there is none.
    pub(super) async fn reason(&self) -> String {
        self.database
            .value("select max(data ->> 'reason') from rowcast.events where room is null")
            .await
    }

    /// Puts the names into a text of a breakage.
    pub(super) fn filled(&self, text: &str, table: &str) -> String {
        text.replace("{attach}", &attach(table))
            .replace("{t}", table)
            .replace("{r}", &self.role)
            .replace("{o}", &self.other)
    }

    /// The SQL that ends a breakage.
    pub(super) fn mend(&self, breakage: &Breakage) -> String {
        let table = breakage.table;
        match breakage.mend {
            Mend::Attach(named) => attach(&self.filled(named, table)),
            Mend::By(sql) => self.filled(sql, table),
            Mend::AsSaid => breakage
                .problems
                .iter()
                .map(|problem| {
                    let said = problem.rsplit_once(": ").expect("a mend").1;
                    self.filled(said, table) + ";"
                })
                .collect(),
        }
    }

    pub(super) async fn end(self) {
        self.server.stop().await;
        let Self { role, other, .. } = &self;
        self.database
            .run(&format!(
                "alter role {other} reset all; reassign owned by {other} to current_user; drop owned by {role}, {other};
                 drop role {role}, {other}"
            ))
            .await;
    }
}

pub(super) fn attach(table: &str) -> String {
    ATTACH.replace("{t}", table)
}
