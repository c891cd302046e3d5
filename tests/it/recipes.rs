//! docs/recipes.md, run: each block as it stands, on tables that the tools made where they can be had here, and what psql shows then.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::documented::run_examples;
use crate::guide::program;
use crate::guide::tools::{output, write};
use crate::harness::api::column;
use crate::harness::{Database, Scratch, Server};
use crate::history_tables::without_chat;

const RECIPES: &str = include_str!("../../docs/recipes.md");

/// The sections of the page, each with its heading.
fn sections() -> Vec<(&'static str, &'static str)> {
    let sections = RECIPES.split("\n## ").skip(1);
    sections
        .map(|section| section.split_once('\n').expect("a heading"))
        .collect()
}

/// The only block of a section in a language other than SQL.
fn block(heading: &str, language: &str) -> &'static str {
    let sections = sections();
    let found = sections.iter().find(|(name, _)| *name == heading);
    let (_, text) = found.unwrap_or_else(|| panic!("no section {heading}"));
    let (_, block) = text
        .split_once(&format!("```{language}\n"))
        .unwrap_or_else(|| panic!("no {language} in {heading}"));
    block.split("```").next().expect("the block")
}

/// Runs the SQL of a section, which shows at least one answer.
async fn runs(database: &Database, heading: &str) {
    let sections = sections();
    let found = sections.iter().find(|(name, _)| *name == heading);
    let (_, text) = found.unwrap_or_else(|| panic!("no section {heading}"));
    let shown = run_examples(database, text).await;
    assert!(shown > 0, "{heading} shows no answer");
}

/// What has a tool that is run; the rest is SQL alone.
const TOOLS: [&str; 4] = ["Django", "knex", "Sequelize", "TypeORM"];

#[tokio::test]
async fn the_recipes_send_what_they_show() {
    let database = without_chat().await;
    let mut count = 0;
    for (heading, text) in sections() {
        if TOOLS.contains(&heading) {
            continue;
        }
        let other = ["```js", "```python"].iter().find(|it| text.contains(**it));
        assert_eq!(other, None, "{heading} has a block that is not run");
        runs(&database, heading).await;
        count += 1;
    }
    assert_eq!(count, 10);
    // History says the same as the events.
    let server = Server::on(&database).await;
    let page = server.read("42", "messages").await;
    let page = page["messages"].as_array().expect("an array");
    let found = |body: &str| page.iter().find(|row| row["body"] == body);
    assert!(
        found("Oops").is_some() && found("Hello").is_none(),
        "{page:?}"
    );
    for (body, status) in [
        ("Your parcel is here", "read"),
        ("Reported before it was written", "delivered"),
    ] {
        assert_eq!(found(body).expect("it is there")["status"], status);
    }
    for (contact, texts) in [
        ("7/42", &["Hello"][..]),
        ("ana@lid", &["Hello", "The same chat"]),
        ("573001234567", &["Hola", "Hola"]),
        ("seconds", &["From the app", "From the bot"]),
    ] {
        let history = server.read(contact, "messages").await;
        assert_eq!(column(&history["messages"], "/body"), texts, "{contact}");
    }
    let problems = "select coalesce(string_agg(source || problems::text, E'\\n'), '') from rowcast.sources where problems <> '{}'";
    assert_eq!(database.value(problems).await, "");
}

/// A folder that finds the npm packages of tests/guide-tables.
fn folder() -> Scratch {
    let folder = Scratch::folder();
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/guide/tables/node_modules");
    symlink(packages, folder.path().join("node_modules")).expect("a link");
    folder
}

#[tokio::test]
async fn tables_that_django_made_send_what_is_shown() {
    let database = without_chat().await;
    let folder = folder();
    write(&folder, "inbox/__init__.py", "");
    write(&folder, "inbox/models.py", block("Django", "python"));
    let migrate = "\
import os, django, psycopg
from django.conf import settings
from django.core.management import call_command
url = psycopg.conninfo.conninfo_to_dict(os.environ['DATABASE_URL'])
settings.configure(INSTALLED_APPS=['inbox'], USE_TZ=True, DEFAULT_AUTO_FIELD='django.db.models.BigAutoField', DATABASES={'default': {
    'ENGINE': 'django.db.backends.postgresql', 'NAME': url['dbname'], 'HOST': url['host'], 'PORT': url.get('port', ''),
    'USER': url['user'], 'PASSWORD': url.get('password', '')}})
django.setup()
call_command('makemigrations', 'inbox', verbosity=0)
call_command('migrate', verbosity=0)
";
    write(&folder, "migrate.py", migrate);
    let mut python = program("python3", folder.path());
    python.arg("migrate.py");
    output(python, &database).await;
    runs(&database, "Django").await;
}

#[tokio::test]
async fn tables_that_tools_of_node_made_send_what_is_shown() {
    let database = without_chat().await;
    let folder = folder();
    for tool in ["knex", "Sequelize", "TypeORM"] {
        write(&folder, &format!("{tool}.cjs"), block(tool, "js"));
    }
    let make = r#"
        require("reflect-metadata");
        const { parse } = require("pg-connection-string");
        const at = parse(process.env.DATABASE_URL);
        const place = { host: at.host, port: at.port ?? 5432, database: at.database, user: at.user, username: at.user, password: at.password ?? "" };
        (async () => {
          const knex = require("knex")({ client: "pg", connection: place });
          await require("./knex.cjs").up(knex);
          await knex.destroy();
          const sequelize = new (require("sequelize").Sequelize)({ ...place, dialect: "postgres", logging: false });
          require("./Sequelize.cjs")(sequelize);
          await sequelize.sync();
          await sequelize.close();
          // What generates a UUID is an extension by default, and Postgres's own function with this.
          const source = new (require("typeorm").DataSource)({
            ...place, type: "postgres", synchronize: true, uuidExtension: "pgcrypto", installExtensions: false,
            entities: [require("./TypeORM.cjs")],
          });
          await source.initialize();
          await source.destroy();
        })().catch((error) => {
          console.error(error);
          process.exit(1);
        });
    "#;
    write(&folder, "make.cjs", make);
    let mut node = program("node", folder.path());
    node.arg("make.cjs");
    output(node, &database).await;
    for tool in ["knex", "Sequelize", "TypeORM"] {
        runs(&database, tool).await;
    }
}
