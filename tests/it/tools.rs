//! The commands for operators: `check`, `grant` and `sources`.

use std::process::Command;

use serde_json::Value;

use crate::doctor::Role;
use crate::harness::postgres::binaries;
use crate::harness::token::JWT;
use crate::harness::{Database, Launch, Scratch, Server, Stock};

#[tokio::test]
async fn check_prints_each_setting_and_where_it_came_from() {
    let folder = Scratch::folder();
    std::fs::write(folder.path().join(".env"), "ROWCAST_LOG=debug\n").expect("a file");
    let check = Launch::command(["check"])
        .folder(folder.path())
        .database("postgres://app:hunter2@db.example:5433/app?sslmode=require&nonsense=1")
        .env("PORT", "4000")
        .env("ROWCAST_POL", "1s")
        .arg("--rowcast-poll=2s");
    let ended = check.succeed().await;
    let line = |name: &str| {
        let line = ended
            .stdout
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {ended:#?}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("PORT"), "PORT 4000 environment");
    assert_eq!(line("ROWCAST_POLL"), "ROWCAST_POLL 2s flag");
    assert_eq!(line("ROWCAST_LOG"), "ROWCAST_LOG debug .env");
    assert_eq!(line("ROWCAST_DRAIN"), "ROWCAST_DRAIN 10s default");
    assert_eq!(
        line("DATABASE_URL"),
        "DATABASE_URL postgres://app@db.example:5433/app environment"
    );
    for ignored in ["nonsense", "ROWCAST_POL "] {
        assert!(ended.stderr.contains(ignored), "{ended:#?}");
    }
    assert!(!format!("{ended:?}").contains("hunter2"), "{ended:#?}");
}

#[tokio::test]
async fn check_names_every_bad_value_and_fails() {
    let bad = || {
        Launch::command(["check"])
            .env("PORT", "70000")
            .env("ROWCAST_POLL", "often")
            .env("HOST", "0.0.0.0")
    };
    for words in [&["PORT", "70000"], &["ROWCAST_POLL", "often"]] {
        let refused = bad().refuse(words).await;
        assert!(
            refused.stdout.contains("often"),
            "the settings are printed all the same: {refused:#?}"
        );
    }
    // What follows from several values is said once each of them is good.
    let open = Launch::command(["check"]).env("HOST", "0.0.0.0");
    open.refuse(&["HOST", "ROWCAST_AUTH=none"]).await;
}

#[tokio::test]
async fn what_grant_gives_is_enough_to_serve() {
    let database = Database::chat().await;
    let role = Role::bare(&database).await;
    // Printed, and run by somebody: the same as --apply.
    let printed = Launch::command(["grant", &role.name]).database(&database.url);
    let printed = printed.succeed().await.stdout;
    assert!(printed.contains("rowcast.sessions"), "{printed}");
    Launch::serve().database(&role.url).refuse(&["grant"]).await;
    database.run(&printed).await;
    let served = Database::at(role.url.clone());
    let server = Server::on(&served).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "here").await;
    assert_eq!(client.event("message:new").await.body(), "here");
    let history = server.read("42", "messages").await;
    assert_eq!(history["messages"][0]["body"], "here", "{history}");
    assert_eq!(server.readiness(200).await.json()["status"], "ready");
    server.stop().await;
    served.pool.close().await;
    role.gone(&database).await;
}

#[tokio::test]
async fn what_grant_gives_is_enough_to_attach_and_to_dump() {
    let database = Database::chat().await;
    // The schema belongs to a role that is no superuser, as on a managed service.
    let keeper = Role::bare(&database).await;
    let of_schema = format!(
        "alter schema rowcast owner to {0}; do $$ declare o text; begin
           for o in select format('alter %s %s owner to {0}', case when relkind = 'v' then 'view' when relkind = 'S' then 'sequence' else 'table' end, oid::regclass)
             from pg_class where relnamespace = 'rowcast'::regnamespace and relkind in ('r', 'v') loop execute o; end loop;
           for o in select format('alter function %s owner to {0}', oid::regprocedure) from pg_proc where pronamespace = 'rowcast'::regnamespace loop execute o; end loop;
         end $$",
        keeper.name
    );
    database.run(&of_schema).await;
    let role = Role::bare(&database).await;
    let own = format!(
        "create schema app authorization {0}; set role {0}; create table app.letters (id int primary key, c text); reset role",
        role.name
    );
    database.run(&own).await;
    role.grant(["--attach"]).await;

    let app = Database::at(role.url.clone());
    app.run("create table app.later (id int primary key, c text)")
        .await;
    for table in ["app.letters", "app.later"] {
        app.run(&format!("select rowcast.attach('{table}', room => 'conversation:{{c}}', on_insert => 'message:new')")).await;
        app.run(&format!("insert into {table} values (1, '42')"))
            .await;
    }
    assert_eq!(
        database.value("select count(*) from rowcast.events").await,
        "2"
    );
    app.run("select rowcast.detach('app.later')").await;
    let command = |command: &str, arguments: &[&str]| {
        let launch = Launch::command([command]).database(&role.url);
        arguments
            .iter()
            .fold(launch, |launch, argument| launch.arg(argument))
    };
    let room = ["app.letters", "--room", "conversation:{c}", "--on-insert"];
    let again = command("attach", &room).arg("message:new").arg("--dry-run");
    let shown = again.succeed().await.stdout;
    // The keeper of the schema may put triggers on the table, and not read it.
    let why = format!(
        "may not read app.letters: grant select on app.letters to {}\n",
        keeper.name
    );
    assert!(
        shown.contains("-- No examples: ") && shown.ends_with(&why),
        "{shown}"
    );
    let folder = Scratch::folder();
    let file = folder.path().join("rowcast.toml");
    let text =
        "[[source]]\ntable = 'app.letters'\nroom = 'conversation:{c}'\non_insert = 'message:new'\n";
    std::fs::write(&file, text).expect("a file");
    let same = command("attach", &["--file", file.to_str().expect("a path")]);
    let same = same.succeed().await.stdout;
    assert!(same.contains(": no difference; "), "{same}");
    let types = command("types", &[]).succeed().await.stdout;
    assert!(
        types.contains("export interface AppLettersRow {"),
        "{types}"
    );
    // It may attach, and nothing that only a server or an emitter does.
    for refused in [
        "delete from rowcast.events",
        "select rowcast.emit('a:1', 'x', '{}')",
    ] {
        assert!(
            sqlx::raw_sql(sqlx::AssertSqlSafe(refused.to_owned()))
                .execute(&app.pool)
                .await
                .is_err(),
            "{refused}"
        );
    }
    let url = role.url.clone();
    let dump = tokio::task::spawn_blocking(move || {
        Command::new(binaries().join("pg_dump"))
            .args(["-d", &url, "-n", "app", "-n", "rowcast"])
            .output()
    });
    let dump = dump
        .await
        .expect("it is waited for")
        .expect("pg_dump starts");
    assert!(
        dump.status.success(),
        "{}",
        String::from_utf8_lossy(&dump.stderr)
    );
    app.pool.close().await;
    database.run("drop schema app cascade").await;
    role.gone(&database).await;
    database
        .run(&format!(
            "reassign owned by {} to current_user",
            keeper.name
        ))
        .await;
    keeper.gone(&database).await;
}

#[tokio::test]
async fn what_grant_gives_is_enough_to_emit_and_no_more() {
    let database = Database::chat().await;
    let role = Role::granted(&database, ["--emit"]).await;
    let app = Database::at(role.url.clone());
    app.run("select rowcast.emit('a:1', 'x', '{}'); select rowcast.emit('a:1', 'x', '{}'::jsonb); select rowcast.typing('42')").await;
    for refused in ["select from rowcast.events", "select from rowcast.sessions"] {
        assert!(
            sqlx::raw_sql(sqlx::AssertSqlSafe(refused.to_owned()))
                .execute(&app.pool)
                .await
                .is_err(),
            "{refused}"
        );
    }
    app.pool.close().await;
    role.gone(&database).await;
}

#[tokio::test]
async fn a_grant_that_is_not_ours_to_give_is_printed_for_somebody_else() {
    let database = Database::chat().await;
    let (giver, role) = (Role::bare(&database).await, Role::bare(&database).await);
    let refused = Launch::command(["grant", &role.name, "--apply"])
        .database(&giver.url)
        .end()
        .await;
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    Launch::command(["grant", "nobody of ours"])
        .database(&database.url)
        .refuse(&["nobody of ours", "create role"])
        .await;
    role.gone(&database).await;
    giver.gone(&database).await;
}

/// Postgres only warns where who grants has the right and may not pass it on.
#[tokio::test]
async fn a_grant_that_gave_nothing_is_not_taken_for_given() {
    let database = Database::chat().await;
    let giver = Role::granted(&database, []).await;
    let role = Role::bare(&database).await;
    let ended = Launch::command(["grant", &role.name, "--apply"])
        .database(&giver.url)
        .end()
        .await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    // What everybody has is there already.
    let everybodys = ["schema public", "is_flushed()"];
    let ours = ended.stdout.lines().filter(|line| {
        line.starts_with("grant ") && !everybodys.iter().any(|name| line.contains(name))
    });
    let silent: Vec<_> = ours.filter(|line| !line.contains("NOT GIVEN")).collect();
    assert_eq!(silent, Vec::<&str>::new(), "{ended:#?}");
    let said = "grant select on public.messages to";
    let said = ended.stdout.lines().find(|line| line.starts_with(said));
    let said = said.expect("the attached table");
    assert!(said.contains("'s to give"), "{said}");
    role.gone(&database).await;
    giver.gone(&database).await;
}

#[tokio::test]
async fn a_command_that_lacks_a_right_names_the_grant_of_that_right() {
    let database = Database::chat().await;
    let role = Role::granted(&database, []).await;
    let refused = [
        (Launch::command(["emit", "inbox:7", "note", "1"]), "--emit"),
        (Launch::command(["detach", "messages"]), "--attach"),
    ];
    for (launch, flag) in refused {
        let words = ["permission denied", "rowcast grant", flag];
        launch.database(&role.url).refuse(&words).await;
    }
    role.gone(&database).await;
}

#[tokio::test]
async fn what_only_tokens_need_fails_no_grant_and_is_named() {
    let database = Database::empty().await;
    let (owner, role) = (Role::bare(&database).await, Role::bare(&database).await);
    database
        .run(&format!(
            "do $$ begin execute format('grant create on database %I to {}', current_database()); end $$",
            owner.name
        ))
        .await;
    Launch::command(["migrate"])
        .database(&owner.url)
        .succeed()
        .await;
    let grant = || Launch::command(["grant", &role.name, "--apply"]).database(&owner.url);
    let given = grant().succeed().await.stdout;
    assert!(given.contains("NOT GIVEN"), "{given}");
    for words in ["with ROWCAST_AUTH=jwt", "as a superuser", "postgres"] {
        assert!(given.contains(words), "{words}: {given}");
    }
    let served = Database::at(role.url.clone());
    drop(Server::on(&served).await);
    // What it names is enough, run by whom it names.
    let left: Vec<_> = given
        .lines()
        .filter(|line| line.contains("NOT GIVEN"))
        .collect();
    database.run(&left.join("\n")).await;
    let given = grant().succeed().await.stdout;
    assert!(!given.contains("NOT GIVEN"), "{given}");
    let doctor = Launch::command(["doctor", "--json"]).database(&role.url);
    let doctor = JWT
        .into_iter()
        .fold(doctor, |doctor, (name, value)| doctor.env(name, value));
    let said = doctor.end().await.stdout;
    assert!(!said.contains("rowcast_policy"), "{said}");
    role.gone(&database).await;
    owner.gone(&database).await;
}

#[tokio::test]
async fn sources_lists_what_is_attached_and_what_is_amiss() {
    let database = Database::chat().await;
    let list = || Launch::command(["sources"]).database(&database.url);
    let listed = list().succeed().await.stdout;
    for word in [
        "public.messages",
        "conversation:{contact_id}",
        "message:new",
    ] {
        assert!(listed.contains(word), "{listed}");
    }
    assert!(!listed.contains("problem"), "{listed}");
    database
        .run("alter table messages disable trigger rowcast_insert")
        .await;
    let listed = list().succeed().await.stdout;
    assert!(
        listed.contains("problem: the trigger rowcast_insert is disabled"),
        "{listed}"
    );
    let json = list().arg("--json").succeed().await.stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["source"], "public.messages", "{json}");
    assert_eq!(
        json[0]["problems"][0],
        "the trigger rowcast_insert is disabled: alter table public.messages enable trigger rowcast_insert",
        "{json}"
    );
    database.run("select rowcast.detach('messages')").await;
    let listed = list().succeed().await.stdout;
    assert_eq!(listed, "no table is attached\n");
}

#[tokio::test]
async fn a_command_whose_reader_has_seen_enough_ends_as_ever() {
    let database = Database::empty().await;
    for command in ["check", "migrate", "sources", "doctor"] {
        let read = Launch::command([command])
            .database(&database.url)
            .end()
            .await;
        let unread = Launch::command([command])
            .database(&database.url)
            .unread()
            .end()
            .await;
        assert_eq!(unread.code, read.code, "{command}: {}", unread.stderr);
        assert!(!unread.stderr.contains("panicked"), "{}", unread.stderr);
    }
}

#[tokio::test]
async fn a_command_names_the_remedy_where_the_schema_or_a_right_is_missing() {
    let database = Database::empty().await;
    let bare = |arguments: &[&str]| {
        let command = Launch::command([]).database(&database.url);
        arguments
            .iter()
            .fold(command, |c, argument| c.arg(argument))
    };
    for arguments in [
        &["sources"][..],
        &["tail"],
        &["detach", "messages"],
        &["emit", "conversation:42", "message:new", "{}"],
        &["grant", "postgres"],
    ] {
        bare(arguments).refuse(&["rowcast migrate"]).await;
    }
    let migrated = Database::chat().await;
    let role = Role::bare(&migrated).await;
    let grant = Launch::command(["grant", &role.name]).database(&role.url);
    let refused = grant.refuse(&["owner of the schema rowcast"]).await;
    assert!(!refused.stderr.contains("error returned"), "{refused:?}");
    role.gone(&migrated).await;
}
