//! `rowcast attach --file`: what a file says is attached as it says, the difference is shown first, and doing it again does nothing.

use serde_json::{Value, json};

use crate::harness::{Database, Launch, Scratch};

const FILE: &str = r#"
[[source]]
table = "tickets"
room = "conversation:{chat}"
on_insert = "message:new"
on_delete = "message:deleted"
update_columns = ["body"]
on_update = "message:updated"
condition = '$.tenant > 0'
payload = { ticket = "{id}", row = "{row}", contactId = "{contactId}" }
omit = ["note"]
key_case = "as_is"
order_columns = ["at", "id"]
as_text = ["tenant"]
timezone = "America/Bogota"
defaults = { body = "" }

[[source.rules]]
on = "update"
columns = ["ack"]
event = "message:status"
condition = '$.ack != 9'
payload = { messageId = "{id}", status = "{ack}", contactId = "{contactId}" }

[source.words.ack]
0 = "sent"
1 = "read"

[source.lookups.of]
table = "chats"
column = "chat"
key = "jid"
row = ["title"]

[[source.rooms]]
room = "inbox:{of.title}"
condition = '$.of.title != null'
on_insert = "inbox:new"

[[source]]
table = "public.notes"
room = "note:{id}"
on_insert = "note:new"
"#;

const TABLES: &str = "
create table chats (jid text primary key, title text);
create table tickets (id bigint primary key, chat text, tenant int, ack int, body text, note text, at timestamp);
create table notes (id int primary key, body text)";

/// Runs the file in a folder of its own.
struct Run {
    database: Database,
    folder: Scratch,
}

impl Run {
    fn launch<const N: usize>(&self, flags: [&str; N]) -> Launch {
        let launch = Launch::command(["attach", "--file", "rowcast.toml"]);
        let launch = launch
            .database(&self.database.url)
            .folder(self.folder.path());
        flags.into_iter().fold(launch, Launch::arg)
    }

    /// Its exit code and what it says.
    async fn says<const N: usize>(&self, flags: [&str; N]) -> (Option<i32>, String) {
        let ended = self.launch(flags).end().await;
        (ended.code, ended.stdout + &ended.stderr)
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("rowcast.toml"), text).expect("a file");
    }

    async fn attached(&self) -> String {
        let all = "select string_agg(concat(source, attached_at), ' ' order by source) from rowcast.attached";
        self.database.value(all).await
    }
}

#[tokio::test]
async fn a_file_is_attached_once_and_then_only_where_it_differs() {
    let run = Run {
        database: Database::chat().await,
        folder: Scratch::folder(),
    };
    run.database.run(TABLES).await;
    run.write(FILE);
    let before = run.attached().await;
    let (code, said) = run.says(["--dry-run"]).await;
    assert_eq!(code, Some(3), "{said}");
    for words in [
        "public.tickets: new\n  + room conversation:{chat}\n",
        "\n  + room inbox:{of.title}: insert: inbox:new\n",
        "\nrowcast.toml: 2 to attach, 0 to detach; nothing was changed; attached and not in it, left alone: public.messages (--prune detaches)\n",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(run.attached().await, before, "a dry run");
    let (code, said) = run.says([]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("\nrowcast.toml: 2 attached, 0 detached; "),
        "{said}"
    );
    let after = run.attached().await;
    let nothing = "rowcast.toml: no difference; attached and not in it, left alone: public.messages (--prune detaches)\n";
    for flags in [[].as_slice(), &["--dry-run"]] {
        let launch = flags
            .iter()
            .fold(run.launch([]), |launch, flag| launch.arg(flag));
        assert_eq!(launch.succeed().await.stdout, nothing);
    }
    assert_eq!(run.attached().await, after, "it was not attached again");

    // What it says is what attach takes.
    run.database
        .run(
            "select rowcast.attach('tickets', room => 'conversation:{chat}', on_insert => 'message:new', on_delete => 'message:deleted',
               update_columns => '{body}', on_update => 'message:updated', condition => '$.tenant > 0',
               payload => '{\"ticket\": \"{id}\", \"row\": \"{row}\", \"contactId\": \"{contactId}\"}', omit => '{note}', key_case => 'as_is',
               order_columns => '{at, id}', as_text => '{tenant}', timezone => 'America/Bogota', defaults => '{\"body\": \"\"}',
               rules => '[{\"on\": \"update\", \"columns\": [\"ack\"], \"event\": \"message:status\", \"condition\": \"$.ack != 9\",
                 \"payload\": {\"messageId\": \"{id}\", \"status\": \"{ack}\", \"contactId\": \"{contactId}\"}}]',
               words => '{\"ack\": {\"0\": \"sent\", \"1\": \"read\"}}',
               lookups => '{\"of\": {\"table\": \"chats\", \"column\": \"chat\", \"key\": \"jid\", \"row\": [\"title\"]}}',
               rooms => '[{\"room\": \"inbox:{of.title}\", \"condition\": \"$.of.title != null\", \"on_insert\": \"inbox:new\"}]')",
        )
        .await;
    assert_eq!(run.launch([]).succeed().await.stdout, nothing);

    // A change is shown and made, and so is what has happened to the table since.
    run.write(&FILE.replace("omit = [\"note\"]", "omit = [\"note\", \"body\"]"));
    run.database
        .run("alter table notes add more text; alter table tickets disable trigger rowcast_insert; drop trigger rowcast_insert on notes")
        .await;
    let json = run.launch(["--dry-run", "--json"]).end().await;
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["applied"], false);
    assert_eq!(json["attach"][0]["differences"], json!(["+ omit body"]));
    let lost = [
        "+ columns more",
        "! the trigger rowcast_insert is missing: attach it again",
        "! the column more is not sent: attach it again",
    ];
    assert_eq!(json["attach"][1]["differences"], json!(lost));
    let (code, said) = run.says(["--prune"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.ends_with("public.messages: not in the file\nrowcast.toml: 2 attached, 1 detached\n"),
        "{said}"
    );
    assert_eq!(
        run.launch(["--prune"]).succeed().await.stdout,
        "rowcast.toml: no difference\n"
    );
}

#[tokio::test]
async fn a_file_is_refused_by_its_line_and_then_nothing_is_done() {
    let run = Run {
        database: Database::chat().await,
        folder: Scratch::folder(),
    };
    run.database.run(TABLES).await;
    let before = run.attached().await;
    for (was, is, words) in [
        (
            "omit =",
            "omits =",
            [
                "rowcast.toml:11: unknown field `omits`",
                "expected one of `table`",
            ],
        ),
        (
            "omit = [\"note\"]",
            "omit = [\"nothing\"]",
            [
                "rowcast.toml:11: tickets: omit names \"nothing\"",
                "accepted: id, chat",
            ],
        ),
        (
            "inbox:{of.title}",
            "inbox",
            [
                "rowcast.toml:36: tickets: room \"inbox\" is none",
                "accepted: <kind>:<id>",
            ],
        ),
        (
            "table = \"chats\"",
            "table = \"nothing\"",
            [
                "rowcast.toml:29: tickets: the lookup \"of\"",
                "there is no table",
            ],
        ),
        (
            "table = \"public.notes\"",
            "table = \"nothing\"",
            ["rowcast.toml:41: nothing: there is no table", "accepted"],
        ),
        (
            "table = \"public.notes\"",
            "table = \"public.tickets\"",
            [
                "rowcast.toml:41: public.tickets is in the file twice",
                "line 3",
            ],
        ),
        (
            "condition = '$.tenant > 0'",
            "condition = 'tenant > 0'",
            [
                "rowcast.toml:9: tickets: condition \"tenant > 0\" is no jsonpath",
                "accepted: a predicate",
            ],
        ),
        (
            "condition = '$.of.title != null'",
            "condition = 'of.title is null'",
            ["is no jsonpath", "accepted: a predicate"],
        ),
        (
            "order_columns = [\"at\", \"id\"]",
            "order_columns = [\"att\"]",
            [
                "rowcast.toml:13: tickets: order_column names",
                "accepted: id",
            ],
        ),
        (
            "note:{id}",
            "lobby",
            [
                "rowcast.toml:42: public.notes: room \"lobby\"",
                "accepted: <kind>:<id>",
            ],
        ),
    ] {
        assert!(FILE.contains(was), "{was}");
        run.write(&FILE.replace(was, is));
        run.launch([]).refuse(&words).await;
    }
    run.write("");
    run.launch([])
        .refuse(&["rowcast.toml:1: there is no source", "[[source]]"])
        .await;
    run.write(&format!("# {}\n{FILE}", "x".repeat(1 << 20)));
    run.launch([])
        .refuse(&["--file rowcast.toml: it is larger than 1 MB; accepted: "])
        .await;
    let endless = Launch::command(["attach", "--file", "/dev/zero"]);
    let endless = endless.database(&run.database.url);
    endless.refuse(&["--file /dev/zero: it is larger"]).await;
    run.launch(["--room", "a:{b}"])
        .refuse(&["--file", "cannot be used with"])
        .await;
    assert_eq!(run.attached().await, before);
}
