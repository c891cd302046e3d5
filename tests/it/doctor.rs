//! `rowcast doctor`: each fault is planted, named with its level, and mended by what the line says to paste.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::cluster::with_database;
use crate::harness::{Database, Launch, Postgres, Scratch, Server};

/// A role of its own that may serve the database and no more.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) url: String,
    owner: String,
}

impl Role {
    /// Made, and given what `rowcast grant` gives with these flags.
    pub(crate) async fn granted<const N: usize>(database: &Database, flags: [&str; N]) -> Self {
        let role = Self::bare(database).await;
        role.grant(flags).await;
        role
    }

    /// Made, and given nothing.
    pub(crate) async fn bare(database: &Database) -> Self {
        let name = database
            .value("select current_database() || '_' || (select count(*) from pg_roles where rolname like current_database() || '%')")
            .await;
        database.run(&format!("create role {name} login")).await;
        Self {
            url: database.url_as(&name),
            owner: database.url.clone(),
            name,
        }
    }

    /// Gives it what `rowcast grant` gives with these flags.
    pub(crate) async fn grant<const N: usize>(&self, flags: [&str; N]) {
        let mut grant = Launch::command(["grant", &self.name, "--apply"]).database(&self.owner);
        for flag in flags {
            grant = grant.arg(flag);
        }
        grant.succeed().await;
    }

    /// Removes it, with all that it owns.
    pub(crate) async fn gone(self, database: &Database) {
        let name = self.name;
        database
            .run(&format!("drop owned by {name} cascade; drop role {name}"))
            .await;
    }
}

/// What the doctor says of a database, and its exit code.
pub(crate) async fn examined(url: &str) -> (Vec<Value>, i32) {
    examined_with(url, "24h").await
}

/// The same for a server with this retention.
async fn examined_with(url: &str, retention: &str) -> (Vec<Value>, i32) {
    let ended = Launch::command(["doctor", "--json"])
        .database(url)
        .env("ROWCAST_RETENTION", retention)
        .end()
        .await;
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
    let code = ended.code.expect("it ends by itself");
    let status = ["ok", "warning", "failure"][code as usize];
    assert_eq!(report["status"], status, "{report:#}");
    (report["findings"].as_array().expect("a list").clone(), code)
}

/// The findings that are not ok, each as `check level said`.
pub(crate) fn amiss(findings: &[Value]) -> Vec<String> {
    let text =
        |finding: &Value, member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    findings
        .iter()
        .filter(|finding| finding["level"] != "ok")
        .map(|finding| {
            format!(
                "{} {} {}",
                text(finding, "check"),
                text(finding, "level"),
                text(finding, "said")
            )
        })
        .collect()
}

/// A fault, what the doctor must say of it, and how it is mended where the pasted line can't.
struct Fault {
    plant: &'static str,
    check: &'static str,
    level: &'static str,
    words: &'static [&'static str],
    /// Empty: what the doctor says to paste mends it.
    mend: &'static str,
}

const fn fault(
    plant: &'static str,
    check: &'static str,
    level: &'static str,
    words: &'static [&'static str],
    mend: &'static str,
) -> Fault {
    Fault {
        plant,
        check,
        level,
        words,
        mend,
    }
}

/// `ROLE` stands for the server's role.
#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    fault("revoke insert on rowcast.sessions from ROLE", "rights", "failure", &["ROLE may not insert rowcast.sessions"], ""),
    fault("revoke delete on rowcast.events from ROLE", "rights", "warning", &["delete rowcast.events"], ""),
    fault("revoke update on rowcast.epoch from ROLE", "rights", "failure", &["update rowcast.epoch"], ""),
    fault("revoke select on rowcast.attached from ROLE", "rights", "warning", &["select rowcast.attached"], ""),
    fault("revoke usage on schema rowcast from ROLE, rowcast_policy", "rights", "failure", &["usage schema rowcast"], ""),
    fault("revoke execute on function rowcast.truncate_payload(json) from ROLE", "rights", "failure", &["truncate_payload"], ""),
    fault("revoke select on messages from ROLE", "rights", "warning", &["public.messages"], ""),
    fault("alter table rowcast.events enable row level security", "row_security", "failure", &["rowcast.events"], ""),
    fault("alter table rowcast.sessions enable row level security", "row_security", "failure", &["rowcast.sessions"], ""),
    fault("alter table rowcast.attached enable row level security", "row_security", "failure", &["rowcast.attached"], ""),
    fault("alter table messages enable row level security", "row_security", "warning", &["public.messages"], ""),
    fault("alter role ROLE set default_transaction_read_only = on", "writes", "failure", &["default_transaction_read_only"], ""),
    fault("alter role ROLE connection limit 5", "connections", "warning", &["the role may have 5 connections"], ""),
    fault("alter table rowcast.events disable trigger wake", "wake", "warning", &["disabled"], ""),
    fault("drop trigger wake on rowcast.events", "wake", "failure", &["wake"], ""),
    fault("alter table messages disable trigger rowcast_insert", "sources", "failure", &["public.messages", "rowcast_insert is disabled"], ""),
    fault("alter table messages rename to letters", "sources", "failure", &["renamed to"], "alter table letters rename to messages"),
    fault("alter table messages rename author to writer", "sources", "failure", &["author is gone"], "alter table messages rename writer to author"),
    fault("drop index messages_contact", "indexes", "warning", &["public.messages", "contact_id"], ""),
    fault("insert into rowcast.events (event, data, source) values ('x', '{}', 'public.messages')", "capture", "warning", &["1 events of public.messages"], "delete from rowcast.events"),
    fault("insert into rowcast.events (room, event, data, at) values ('a:1', 'x', '{}', now() - interval '3 days')", "outbox", "warning", &["ROWCAST_RETENTION"], "delete from rowcast.events"),
    fault("alter table rowcast.events set (autovacuum_enabled = off)", "outbox", "warning", &["autovacuum is off"], ""),
    fault("create table kept as select * from rowcast.migrations where version = 10; delete from rowcast.migrations where version = 10", "migrations", "failure", &["1 are not applied"], "insert into rowcast.migrations select * from kept; drop table kept"),
    fault("insert into rowcast.migrations (version, description, success, checksum, execution_time) values (9001, 'x', true, '\\x00', 0)", "migrations", "failure", &["9001"], "delete from rowcast.migrations where version = 9001"),
];

#[tokio::test]
async fn each_planted_fault_is_named_and_mended_by_what_is_pasted() {
    let database = Database::chat().await;
    let role = Role::granted(&database, []).await;
    let (well, code) = examined(&role.url).await;
    assert_eq!(code, 0, "{:#?}", amiss(&well));
    for fault in FAULTS {
        let named = |text: &str| text.replace("ROLE", &role.name);
        let plant = named(fault.plant);
        database.run(&plant).await;
        let (findings, code) = examined(&role.url).await;
        let found = findings.iter().find(|finding| {
            finding["check"] == fault.check
                && finding["level"] == fault.level
                && fault.words.iter().all(|word| {
                    finding["said"]
                        .as_str()
                        .is_some_and(|said| said.contains(&named(word)))
                })
        });
        let found = found.unwrap_or_else(|| panic!("{plant}: {:#?}", amiss(&findings)));
        assert!(
            code >= if fault.level == "failure" { 2 } else { 1 },
            "{plant}"
        );
        assert!(
            found["means"]
                .as_str()
                .is_some_and(|means| !means.is_empty()),
            "{found}"
        );
        let paste = found["paste"].as_str().expect("something to paste");
        let mend = if fault.mend.is_empty() {
            paste
        } else {
            fault.mend
        };
        database.run(mend).await;
        let (findings, code) = examined(&role.url).await;
        assert_eq!(code, 0, "{plant}; {mend}: {:#?}", amiss(&findings));
    }
    role.gone(&database).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_and_ends_the_doctor() {
    let database = Database::empty().await;
    let nowhere = format!(
        "postgres://app@localhost/app?host={}",
        Scratch::folder().path().display()
    );
    for url in [with_database(&database.url, "no_such_database"), nowhere] {
        let (findings, code) = examined(&url).await;
        assert_eq!(
            (code, &findings[0]["check"]),
            (2, &"connection".into()),
            "{findings:#?}"
        );
    }
    // And where it is there, and nothing is in it.
    let (findings, _) = examined(&database.url).await;
    let found = amiss(&findings);
    assert_eq!(
        found,
        ["migrations failure there is no schema rowcast in this database"]
    );
}

/// The doctor looks, beside a server and a writer, and everything is as it was.
#[tokio::test]
async fn an_address_that_is_no_postgres_or_has_no_tls_is_told_from_one_where_nobody_answers() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let web = format!("postgres://postgres@{}/app", server.address());
    let (found, code) = examined(&web).await;
    assert_eq!(code, 2);
    let connection = found.first().expect("a finding").to_string();
    assert!(connection.contains("another service"), "{connection}");
    assert!(!connection.contains("sqlx"), "{connection}");

    // As a Postgres without TLS answers the first message of one who wants it.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = plain.local_addr().expect("an address").port();
    let refuse = async {
        loop {
            let (mut client, _) = plain.accept().await.expect("a client");
            let mut request = [0; 8];
            client.read_exact(&mut request).await.expect("a request");
            client.write_all(b"N").await.expect("an answer");
        }
    };
    let encrypted = format!("postgres://app@127.0.0.1:{port}/app?sslmode=require");
    let (found, code) = tokio::select! {
        found = examined(&encrypted) => found,
        () = refuse => unreachable!("it answers for ever"),
    };
    assert_eq!(code, 2);
    let connection = found.first().expect("a finding").to_string();
    assert!(connection.contains("TLS can't be had"), "{connection}");
}

#[tokio::test]
async fn settings_that_cant_be_used_are_a_report_too() {
    let ended = Launch::command(["doctor", "--json"])
        .env("DATABASE_URL", "mysql://app:hunter2@db/app")
        .env("ROWCAST_POLL", "soon")
        .end()
        .await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(report["status"], "failure");
    let finding = &report["findings"][0];
    assert_eq!(finding["check"], "configuration");
    for named in ["DATABASE_URL", "ROWCAST_POLL"] {
        assert!(finding["said"].to_string().contains(named), "{finding}");
    }
    assert!(!ended.stdout.contains("hunter2"), "{ended:?}");
}

#[tokio::test]
async fn the_doctor_changes_nothing_and_sees_the_servers() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    database.say("42", "here").await;
    server.readiness(200).await;
    let everything = "select md5(string_agg(line, ' ' order by line)) from (
        select e.ctid::text || e.xmin::text as line from rowcast.events e
        union all select s.ctid::text || s.xmin::text from rowcast.sessions s
        union all select a.ctid::text || a.xmin::text from rowcast.attached a
        union all select e.ctid::text || e.xmin::text from rowcast.epoch e
        union all select c.oid::text || c.relname from pg_class c
        union all select p.oid::text || p.xmin::text from pg_proc p
        union all select t.oid::text || t.xmin::text from pg_trigger t
        union all select setdatabase::text || setconfig::text from pg_db_role_setting) l";
    let before = database.value(everything).await;
    let (findings, _) = examined(&database.url).await;
    assert_eq!(database.value(everything).await, before);
    let said = |check: &str| {
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.expect("the check")["said"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    assert!(
        said("servers").starts_with("1 on this database"),
        "{}",
        said("servers")
    );
    assert!(said("wake").ends_with("1 asleep now"), "{}", said("wake"));
    server.readiness(200).await;
}

#[tokio::test]
async fn a_check_that_hangs_is_told_and_the_others_go_on() {
    let database = Database::chat().await;
    let mut locker = database.pool.begin().await.expect("a transaction");
    crate::harness::database::run(
        &mut *locker,
        "lock table rowcast.attached in access exclusive mode",
    )
    .await;
    let (findings, code) = examined(&database.url).await;
    assert_eq!(code, 2, "{:#?}", amiss(&findings));
    let amiss = amiss(&findings);
    let who = "keeps rowcast.attached locked against everybody";
    assert!(
        amiss.iter().any(|line| line.contains(who)),
        "who it is: {amiss:#?}"
    );
    for check in ["sources", "indexes"] {
        let told = amiss
            .iter()
            .any(|line| line.starts_with(check) && line.contains("could not be looked at"));
        assert!(told, "{check}: {amiss:#?}");
    }
    let checks: Vec<_> = findings
        .iter()
        .map(|finding| finding["check"].as_str())
        .collect();
    assert_eq!(checks.last(), Some(&Some("servers")), "{checks:?}");
    locker.rollback().await.expect("it ends");
}

#[tokio::test]
async fn a_notify_queue_that_is_held_names_who_holds_it() {
    let (_postgres, database) = Postgres::with_chat().await;
    let mut sleeper = database.connection().await;
    crate::harness::database::run(
        &mut sleeper,
        "set application_name = 'the sleeper'; listen stuffing",
    )
    .await;
    crate::harness::database::run(&mut sleeper, "begin; select 1").await;
    for _ in 0..4 {
        database.run("select pg_notify('stuffing', n || repeat('x', 7900)) from generate_series(1, 4000) n").await;
    }
    let found = crate::harness::wait::until_for(
        std::time::Duration::from_secs(30),
        "the transaction to be an old one",
        async || {
            let (findings, _) = examined(&database.url).await;
            let queue = findings
                .into_iter()
                .find(|finding| finding["check"] == "notify_queue");
            queue.filter(|queue| {
                queue["means"]
                    .as_str()
                    .is_some_and(|means| means.contains("the sleeper"))
            })
        },
    )
    .await;
    assert_eq!(found["level"], "warning", "{found:#}");
    database.run(found["paste"].as_str().expect("a line")).await;
    let (findings, _) = examined(&database.url).await;
    assert!(
        !amiss(&findings)
            .iter()
            .any(|line| line.starts_with("notify_queue"))
    );
}

#[tokio::test]
async fn a_transaction_that_holds_back_vacuum_is_named() {
    let database = Database::chat().await;
    let mut holder = database.connection().await;
    let begin =
        "set application_name = 'the holder'; begin isolation level repeatable read; select 1";
    crate::harness::database::run(&mut holder, begin).await;
    let found = crate::harness::wait::until("the transaction to be an old one", async || {
        let (findings, _) = examined_with(&database.url, "2s").await;
        findings.into_iter().find(|finding| {
            finding["check"] == "held_xmin"
                && finding["said"]
                    .as_str()
                    .is_some_and(|said| said.contains("the holder"))
        })
    })
    .await;
    assert_eq!(found["level"], "warning", "{found:#}");
    database.run(found["paste"].as_str().expect("a line")).await;
    let (findings, _) = examined_with(&database.url, "2s").await;
    assert!(
        !amiss(&findings)
            .iter()
            .any(|line| line.starts_with("held_xmin")),
        "{findings:#?}"
    );
}

/// A standby in recovery, as an address leads to after a failover that left it behind.
#[tokio::test]
async fn a_standby_is_told_from_a_primary() {
    let (mut postgres, database) = Postgres::with_chat().await;
    database.pool.close().await;
    postgres.down(rustix::process::Signal::INT).await;
    std::fs::write(postgres.folder().join("data/standby.signal"), "").expect("a file");
    postgres.up().await;
    let (findings, code) = examined(&postgres.url()).await;
    let amiss = amiss(&findings);
    assert_eq!(code, 2);
    assert!(
        amiss.contains(&"writes failure this is a standby, in recovery".to_owned()),
        "{amiss:#?}"
    );
}

#[tokio::test]
async fn a_low_file_limit_is_told() {
    let database = Database::chat().await;
    let mut doctor = std::process::Command::new("sh");
    doctor.args([
        "-c",
        "ulimit -n 256; exec \"$0\" doctor",
        env!("CARGO_BIN_EXE_rowcast"),
    ]);
    doctor.env_clear().env("DATABASE_URL", &database.url);
    let output = tokio::task::spawn_blocking(move || doctor.output()).await;
    let output = output.expect("it is waited for").expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = said.lines().find(|line| line.starts_with("warning"));
    assert!(
        line.is_some_and(|line| line.contains("256 open files")),
        "{said}"
    );
}

#[tokio::test]
async fn the_embedded_database_is_looked_at_where_it_is_and_none_is_made() {
    let folder = Scratch::folder();
    let doctor = |folder: &Scratch| {
        let bindir = crate::harness::postgres::binaries();
        Launch::command(["doctor"])
            .env("ROWCAST_DATA_DIR", folder.path().to_str().expect("a text"))
            .env("ROWCAST_PG_BINDIR", bindir.to_str().expect("a text"))
    };
    let nowhere = doctor(&folder).end().await;
    assert_eq!(nowhere.code, Some(2), "{nowhere:#?}");
    assert!(
        nowhere.stdout.contains("no embedded database"),
        "{nowhere:#?}"
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        0
    );

    let server = crate::embedded::launch(folder.path()).start().await;
    let beside = doctor(&folder).succeed().await;
    assert!(beside.stdout.contains("1 on this database"), "{beside:#?}");
    server.readiness(200).await;
    server.stop().await;
    let alone = doctor(&folder).succeed().await;
    assert!(
        alone.stdout.contains("none reads this database"),
        "{alone:#?}"
    );
}
