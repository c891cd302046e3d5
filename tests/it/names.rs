//! Names: whatever a table, its columns or a payload's members are called, its rows are captured and read as they are.
//!
//! The names are those that we use ourselves: each word of our SQL. If an alias or a variable of ours could be taken for a name
//! of theirs, or the other way round, one of these rows would come out wrong, or the write would fail.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::harness::database::run;
use crate::harness::{Database, Server};

/// What needs quotes, what JSON or a template escapes, and the marks that we put into a row.
const WEIRD: [&str; 16] = [
    "weird \"quoted\" name",
    "it's",
    "back\\slash",
    "{",
    "}",
    "{row}",
    "a}b{c",
    "%s %I %L %1$s",
    "$1",
    "a:b",
    "new line\n",
    " ",
    "ÄÖ €",
    "Row",
    "rowcast:careful",
    "rowcast:stand-in:",
];

/// Every word of our SQL, once.
fn words() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("src/db/history.rs")];
    for folder in ["migrations", "src/db/history"] {
        let entries = fs::read_dir(root.join(folder)).expect("a readable folder");
        files.extend(
            entries
                .map(|entry| entry.expect("a readable folder").path())
                .filter(|path: &PathBuf| path.is_file()),
        );
    }
    let mut words: BTreeSet<String> = WEIRD.map(str::to_owned).into();
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable file");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        for line in code {
            let found = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            // Postgres has some columns of its own in every table.
            let system = ["tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"];
            words.extend(
                found
                    .filter(|word| word.starts_with(|letter: char| !letter.is_numeric()))
                    .filter(|word| !word.starts_with(char::is_uppercase))
                    .filter(|word| word.len() <= 63 && !system.contains(word))
                    .map(str::to_owned),
            );
        }
    }
    assert!(words.len() > 700, "{} words", words.len());
    words.into_iter().collect()
}

/// A name as SQL reads it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What the triggers wrote: the events, in order.
async fn events(database: &Database) -> Vec<(String, Value)> {
    let events = database
        .value(
            "select coalesce(json_agg(json_build_array(event, data) order by id), '[]') from rowcast.events",
        )
        .await;
    let events: Value = serde_json::from_str(&events).expect("JSON");
    let events = events.as_array().expect("an array").iter();
    events
        .map(|event| {
            (
                event[0].as_str().expect("a name").to_owned(),
                event[1].clone(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_column_may_be_called_as_anything_in_our_sql() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let mut writer = database.connection().await;
    for (place, words) in words().chunks(240).enumerate() {
        let columns: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        let values: Vec<_> = words.iter().map(|word| literal(word)).collect();
        let changes: Vec<_> = columns
            .iter()
            .map(|column| format!("{column} = {column} || '!'"))
            .collect();
        let contact = format!("chunk{place}");
        run(
            &mut writer,
            &format!(
                "truncate rowcast.events; drop table if exists t;
                 create table t (the_key int primary key, the_chat text, {} text);
                 select rowcast.attach('t', room => 'conversation:{{the_chat}}', key_case => 'as_is',
                   on_insert => 'message:new', on_update => 'message:updated', on_delete => 'message:deleted');
                 insert into t values (1, '{contact}', {});",
                columns.join(" text, "),
                values.join(", ")
            ),
        )
        .await;
        let history = server.read(&contact, "messages").await;
        let page = server.read(&contact, "messages?before=1").await;
        assert_eq!(page["messages"], json!([]), "{page}");
        run(
            &mut writer,
            &format!("update t set {}; delete from t", changes.join(", ")),
        )
        .await;

        let row = |suffix: &str| {
            let mut row = Map::new();
            row.insert("id".to_owned(), json!("1"));
            row.insert("the_key".to_owned(), json!("1"));
            row.insert("the_chat".to_owned(), json!(contact));
            for word in words {
                row.insert(word.clone(), json!(format!("{word}{suffix}")));
            }
            json!({"message": row, "contactId": contact})
        };
        let deleted = json!({"messageId": "1", "contactId": contact});
        let got = events(&database).await;
        let expected = [
            ("message:new".to_owned(), row("")),
            ("message:updated".to_owned(), row("!")),
            ("message:deleted".to_owned(), deleted),
        ];
        assert_eq!(got, expected, "chunk {place}");
        assert_eq!(history["messages"], json!([row("")["message"]]));
        assert_eq!(
            database
                .value("select problems from rowcast.sources where source = 'public.t'")
                .await,
            "{}"
        );
    }
}

#[tokio::test]
async fn a_table_its_key_and_its_room_may_be_called_as_anything_in_our_sql() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let mut writer = database.connection().await;
    // Aliases and variables are short, but for these; a template can't name what has a brace in it.
    let long = "after before careful contactId new_rows old_rows origin payload room_after room_before source stays typing was_in";
    let short: Vec<_> = words()
        .into_iter()
        .filter(|word| word.len() <= 4 || long.split(' ').any(|long| long == word))
        .filter(|word| !word.contains(['{', '}']))
        .collect();
    assert!(short.len() > 80, "{short:?}");
    for words in short.chunks(25) {
        let all = |sql: &dyn Fn(&str, &str) -> String| -> String {
            let each = words.iter().map(|word| sql(word, &quoted(word)));
            each.collect::<Vec<_>>().join(";\n")
        };
        let attached = all(&|word, name| {
            format!(
                "create table s.{name} ({name} text primary key, the_chat text);
                 select rowcast.attach({}, room => {}, key_case => 'as_is', on_insert => 'message:new',
                                       on_delete => 'message:deleted');
                 insert into s.{name} values ('42', 'x')",
                literal(&format!("s.{name}")),
                literal(&format!("conversation:{{{word}}}")),
            )
        });
        run(
            &mut writer,
            &format!("truncate rowcast.events; create schema s; {attached}"),
        )
        .await;
        let history = server.read("42", "messages?limit=100").await;
        let deleted = all(&|_, name| format!("delete from s.{name}"));
        run(&mut writer, &deleted).await;
        let got = events(&database).await;
        let (new, gone) = got.split_at(words.len());
        for (word, (new, gone)) in words.iter().zip(new.iter().zip(gone)) {
            let row = json!({"id": "42", word.as_str(): "42", "the_chat": "x"});
            let rows = history["messages"].as_array().expect("an array");
            assert!(rows.contains(&row), "{word}: {rows:?}");
            assert_eq!(new.1, json!({"message": row, "contactId": "42"}), "{word}");
            assert_eq!(
                gone.1,
                json!({"messageId": "42", "contactId": "42"}),
                "{word}"
            );
        }
        run(
            &mut writer,
            "select rowcast.detach(source) from rowcast.sources where source ^@ 's.'; drop schema s cascade",
        )
        .await;
    }
}

#[tokio::test]
async fn a_payloads_member_may_be_called_as_anything_in_our_sql() {
    let database = Database::chat().await;
    let mut writer = database.connection().await;
    run(
        &mut writer,
        "create table t (id int primary key, c text, row text, o text)",
    )
    .await;
    for words in words().chunks(16) {
        let mut template = Map::new();
        let mut expected = Map::new();
        for word in words {
            template.insert(
                word.clone(),
                json!({word.clone(): "{o}", "list": ["#{id}", "{.row}"]}),
            );
            let mut inner = json!({word.clone(): "an o", "list": ["#1", "a row"]});
            if word == "list" {
                inner = template[word].clone();
            }
            expected.insert(word.clone(), inner);
        }
        template.remove("list");
        expected.remove("list");
        let template = Value::Object(template).to_string();
        run(
            &mut writer,
            &format!(
                "truncate t; truncate rowcast.events;
                 select rowcast.attach('t', room => 'conversation:{{c}}', on_insert => 'note', payload => {});
                 insert into t values (1, '42', 'a row', 'an o')",
                literal(&template)
            ),
        )
        .await;
        let got = events(&database).await;
        assert_eq!(got, [("note".to_owned(), Value::Object(expected))]);
    }
}

/// What can't become SQL is refused when the table is attached, in words about what was given.
#[tokio::test]
async fn a_name_that_can_not_be_used_is_refused_in_plain_words() {
    let database = Database::chat().await;
    database
        .run(r#"create table t (id int primary key, "say ""hi""" text); create table braced ("a}b" int primary key, c text)"#)
        .await;
    for (arguments, words) in [
        (
            r#"'t', room => 'conversation:{id}', on_insert => 'note', payload => '{"": "{id}"}'"#,
            r#"the payload of this table has the key ""; accepted: keys of 1 to 63 bytes"#,
        ),
        (
            r#"'t', room => 'conversation:{id}', on_insert => 'note', payload => '{"a": [{"": 1}]}'"#,
            "keys of 1 to 63 bytes",
        ),
        (
            r#"'t', room => 'conversation:{id}', on_insert => 'note', payload => '{"a": "{.row}"}'"#,
            r#"names ".row", which is not a column of public.t"#,
        ),
        (
            "'braced', room => 'conversation:{c}', on_delete => 'message:deleted'",
            r#"needs a payload: "a}b" has a brace in its name"#,
        ),
    ] {
        let attach = format!("select rowcast.attach({arguments})");
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(attach))
            .execute(&database.pool)
            .await;
        let message = refused.expect_err(arguments).to_string();
        assert!(message.contains(words), "{arguments}: {message}");
    }
    // A condition writes a name as JSON does.
    database
        .run(
            r#"select rowcast.attach('t', room => 'conversation:{id}', on_insert => 'note', condition => '$."say \"hi\"" == "x"');
               insert into t values (1, 'x'), (2, 'y');
               select rowcast.attach('braced', room => 'conversation:{c}', on_delete => 'message:deleted', payload => '{"row": "{row}"}');
               insert into braced values (1, '42'); delete from braced"#,
        )
        .await;
    let got: Vec<_> = events(&database).await;
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got[1].1, json!({"row": {"id": "1", "a}b": "1", "c": "42"}}));
}
