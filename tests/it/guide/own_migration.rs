//! The guarded call of attach, as each framework runs it, on a database with our schema and on one without.
use std::process::Command;

use super::page::block;
use super::tools::{ended, folder, program, write};
use crate::harness::{Database, Launch, Scratch};

/// What a framework would send to Postgres, one for each block.
async fn statements() -> Vec<(&'static str, String)> {
    let place = folder();
    let knex = format!(
        "{}\nexports.up({{ raw: (sql) => console.log(sql) }});",
        block("A migration of your own", "js")
    );
    let django = format!(
        "{}\nprint(Migration.operations[0].sql)",
        block("A migration of your own", "python")
    );
    // As much of Django as the block needs.
    let stub = "class RunSQL:\n    noop = ''\n    def __init__(self, sql, reverse_sql): self.sql = sql\n\
                class Migration: pass\nmigrations = __import__('sys').modules[__name__]\n";
    write(&place, "up.cjs", &knex);
    write(&place, "up.py", &django);
    write(&place, "django/__init__.py", "");
    write(&place, "django/db.py", stub);
    let ruby = block("A migration of your own", "ruby");
    let (_, heredoc) = ruby.split_once("<<~'SQL'\n").expect("a heredoc");
    let (heredoc, _) = heredoc.split_once("    SQL\n").expect("its end");
    vec![
        ("Prisma", block("A migration of your own", "sql")),
        ("Django", printed(&place, "python3", "up.py").await),
        ("knex", printed(&place, "node", "up.cjs").await),
        ("Rails", heredoc.to_owned()),
    ]
}

async fn printed(place: &Scratch, interpreter: &str, file: &str) -> String {
    let mut command: Command = program(interpreter, place.path());
    command.arg(file);
    ended(command).await.expect("it ends well")
}

#[tokio::test]
async fn a_guarded_migration_runs_with_and_without_the_schema() {
    let table =
        "create table wa_messages (id bigint primary key, customer_id text not null, body text)";
    for (framework, sql) in statements().await {
        assert!(sql.contains("rowcast.attach("), "{framework}: {sql}");
        let database = Database::empty().await;
        database.run(table).await;
        database.run(&sql).await;
        assert_eq!(
            database.value("select to_regnamespace('rowcast')").await,
            "",
            "{framework}"
        );
        Launch::command(["migrate"])
            .database(&database.url)
            .succeed()
            .await;
        database.run(&sql).await;
        database
            .run("insert into wa_messages values (1, '42', 'hi')")
            .await;
        let event = "select room || ' ' || event from rowcast.events";
        assert_eq!(
            database.value(event).await,
            "conversation:42 message:new",
            "{framework}"
        );
    }
}
