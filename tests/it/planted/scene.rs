//! A running system: a server with the documented rights alone, and a stock client in a room. Plants a fault, asks everybody who
//! should tell of it, mends it, and counts what the client got.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgConnection;

use super::fault::{Fault, Log, Plant, Ready};
use crate::doctor::{Role, examined};
use crate::harness::database::run;
use crate::harness::wait::until_for;
use crate::harness::{Client, Database, Launch, Server, Stock};

/// The longest time until a fault, or its end, is told.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) struct Scene {
    client: Client,
    server: Server,
    _stock: Stock,
    role: Role,
    database: Database,
    /// How a row of the room is written; `BODY` stands for its text.
    say: &'static str,
    said: u32,
}

impl Scene {
    /// On the chat tables.
    pub(super) async fn new() -> Self {
        let say = "insert into messages (contact_id, body) values ('42', 'BODY')";
        Self::on(Database::chat().await, "", say).await
    }

    /// On a database that the test brings, after this SQL.
    pub(super) async fn on(database: Database, sql: &str, say: &'static str) -> Self {
        database.run(sql).await;
        let role = Role::granted(&database, []).await;
        let server = Launch::serve().database(&role.url).start().await;
        server.readiness(200).await;
        let stock = Stock::start();
        Self {
            client: stock.joined(&server, "42").await,
            server,
            _stock: stock,
            role,
            database,
            say,
            said: 0,
        }
    }

    fn named(&self, text: &str) -> String {
        text.replace("ROLE", &self.role.name)
    }

    /// Plants each, one after the other, and sees that everybody names it.
    pub(super) async fn judge(mut self, faults: &[Fault]) {
        for fault in faults {
            self.judge_one(fault).await;
        }
        self.ends().await;
    }

    /// Leaves nothing behind.
    pub(super) async fn ends(self) {
        let Self {
            server,
            role,
            database,
            ..
        } = self;
        server.stop().await;
        role.gone(&database).await;
    }

    async fn judge_one(&mut self, fault: &Fault) {
        let since = self.begins().await;
        let (plant, held) = self.plant(&fault.plant).await;
        if fault.captures {
            // Nobody knows of the fault yet.
            self.write("during").await;
        }
        let paste = self.is_named(&plant, fault, since).await;
        if fault.captures {
            self.write("late").await;
        }
        let mend = match fault.mend {
            "" => paste,
            mend => self.named(mend),
        };
        self.database.run(&mend).await;
        drop(held);
        self.is_mended(&plant, fault, since).await;
    }

    /// All is well. Returns how many lines the log has.
    pub(super) async fn begins(&mut self) -> usize {
        let logged = self.server.lines().len();
        self.write("before").await;
        self.sees("before").await;
        logged
    }

    /// Readiness, the metric, the log and the doctor name the fault. Returns what the doctor says to paste.
    pub(super) async fn is_named(&self, plant: &str, fault: &Fault, since: usize) -> String {
        self.is_told(plant, &fault.ready).await;
        self.is_logged(plant, fault, since, true).await;
        self.is_found(plant, fault.doctor).await
    }

    /// Its end is told, and the client got every event once.
    pub(super) async fn is_mended(&mut self, plant: &str, fault: &Fault, since: usize) {
        self.is_over(plant, fault.ready.check()).await;
        self.is_logged(plant, fault, since, false).await;
        self.write("after").await;
        if fault.resyncs {
            self.is_told_to_load_again(plant).await;
        } else if fault.captures {
            self.sees("during").await;
            self.sees("late").await;
        }
        if !fault.resyncs {
            self.sees("after").await;
        }
        self.nothing_more(plant).await;
    }

    async fn plant(&self, plant: &Plant) -> (String, Option<PgConnection>) {
        let (Plant::Sql(sql) | Plant::Anew(sql) | Plant::Held(sql)) = plant;
        let sql = self.named(sql);
        if let Plant::Held(_) = plant {
            let mut held = self.database.connection().await;
            run(&mut held, "begin").await;
            run(&mut held, &sql).await;
            return (sql, Some(held));
        }
        self.database.run(&sql).await;
        if let Plant::Anew(_) = plant {
            self.terminate().await;
        }
        (sql, None)
    }

    /// Makes the server look at the attached tables now.
    async fn look(&self) {
        self.database
            .run("select pg_notify('rowcast_sources', '')")
            .await;
    }

    /// Ends the server's connections.
    async fn terminate(&self) {
        let terminate =
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ROLE'";
        self.database.run(&self.named(terminate)).await;
    }

    async fn is_told(&self, plant: &str, ready: &Ready) {
        let (status, member, check, words) = match ready {
            Ready::Failing(check, words) => (503, "failing", check, words),
            Ready::Degraded(check, words) => (200, "degraded", check, words),
        };
        let words = self.named(words);
        let what = format!("{plant}: {status}, {member}.{check} with {words}");
        if *check == "sources" {
            self.look().await;
        }
        let mut last = String::new();
        let told = until_for(PATIENCE, what, async || {
            let answer = self.server.get("/readyz").await;
            let said = answer.json()[member][*check].to_string();
            last.clone_from(&answer.body);
            (answer.status == status && said.contains(&words)).then_some(())
        });
        if tokio::time::timeout(PATIENCE - Duration::from_secs(1), told)
            .await
            .is_err()
        {
            panic!("{plant}: {status}, {member}.{check} with {words}; the last was {last}");
        }
        assert_eq!(self.ready(check).await, 0.0, "{plant}: rowcast_ready");
        if *check == "sources" {
            let problems = self.server.metric("rowcast_source_problems", &[]).await;
            assert!(problems >= 1.0, "{plant}: rowcast_source_problems");
        }
    }

    async fn ready(&self, check: &str) -> f64 {
        let label = format!("check=\"{check}\"");
        self.server.metric("rowcast_ready", &[&label]).await
    }

    /// Exactly one line tells of its beginning, and one of its end.
    async fn is_logged(&self, plant: &str, fault: &Fault, since: usize, begins: bool) {
        let check = format!("\"check\":\"{}\"", fault.ready.check());
        let is_it = |line: &String| match fault.log {
            Log::Check => {
                let begins_it = line.contains("not ready: ") || line.contains("degraded: ");
                line.contains(&check)
                    && if begins {
                        begins_it
                    } else {
                        line.contains("mended: ")
                    }
            }
            Log::Lines(words, _) if begins => {
                line.contains(&self.named(words)) && !line.contains("over: ")
            }
            Log::Lines(_, words) => line.contains(&self.named(words)),
        };
        let found = until_for(PATIENCE, format!("{plant}: a line"), async || {
            let lines = self.server.lines();
            let found: Vec<_> = lines[since..]
                .iter()
                .filter(|line| is_it(line))
                .cloned()
                .collect();
            (!found.is_empty()).then_some(found)
        })
        .await;
        assert_eq!(found.len(), 1, "{plant}: {found:#?}");
    }

    /// The doctor names it. Returns what it says to paste.
    async fn is_found(&self, plant: &str, doctor: (&str, &str, &str)) -> String {
        let (check, level, words) = doctor;
        let words = self.named(words);
        let (findings, _) = examined(&self.role.url).await;
        let found = findings.iter().find(|finding| {
            let said = finding["said"].as_str().unwrap_or_default();
            finding["check"] == check && finding["level"] == level && said.contains(&words)
        });
        let found = found.unwrap_or_else(|| panic!("{plant}: {findings:#?}"));
        found["paste"].as_str().unwrap_or_default().to_owned()
    }

    async fn is_over(&self, plant: &str, check: &str) {
        if check == "sources" {
            self.look().await;
        }
        let mut last = Value::Null;
        let over = until_for(PATIENCE, format!("{plant}: its end"), async || {
            let answer = self.server.get("/readyz").await;
            last = answer.json();
            (answer.status == 200 && last["status"] == "ready").then_some(())
        });
        if tokio::time::timeout(PATIENCE - Duration::from_secs(1), over)
            .await
            .is_err()
        {
            panic!("{plant}: it does not end: {last}");
        }
        assert_eq!(self.ready(check).await, 1.0, "{plant}: rowcast_ready");
    }

    /// Writes a row of the room.
    async fn write(&mut self, when: &str) {
        self.said += u32::from(when == "before");
        let body = format!("{when} {}", self.said);
        self.database.run(&self.say.replace("BODY", &body)).await;
    }

    /// The next event that the client sees is that row's.
    async fn sees(&mut self, when: &str) {
        let event = self.client.next_for(PATIENCE).await;
        let body = format!("\"{when} {}\"", self.said);
        let payload = event.payload().to_string();
        assert!(payload.contains(&body), "{body}: {event:?}");
    }

    /// The client is told once to load the room again, and gets no event twice.
    async fn is_told_to_load_again(&mut self, plant: &str) {
        let mut got: Vec<String> = Vec::new();
        let after = format!("\"after {}\"", self.said);
        while !got.last().is_some_and(|last| last.contains(&after)) {
            let event = self.client.next_for(PATIENCE).await;
            got.push(format!("{} {}", event.name, event.payload()));
        }
        let told = got
            .iter()
            .filter(|event| event.starts_with("rowcast:resync"));
        assert_eq!(told.count(), 1, "{plant}: {got:#?}");
        let all = got.len();
        got.sort();
        got.dedup();
        assert_eq!(got.len(), all, "{plant}: {got:#?}");
    }

    /// The client has got nothing beside what was expected.
    async fn nothing_more(&mut self, plant: &str) {
        let fence = "select rowcast.emit('conversation:42', 'fence', '{}')";
        self.database.run(fence).await;
        let event = self.client.next_for(PATIENCE).await;
        assert_eq!(event.name, "fence", "{plant}: {event:?}");
    }
}
