//! The house: who may import whom, no circles, SQL in one place, nothing too long.
//!
//! Reads `src` as text. `ARCHITECTURE.md` says the same in prose; where the two differ, this holds.

mod circles;
mod imports;
mod limits;
mod source;
mod table;

use source::Source;

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn imports_are_those_of_the_table() {
    assert_none(&table::violations(&source::server()));
}

#[test]
fn no_modules_need_each_other() {
    assert_none(&circles::find(&source::server()));
}

#[test]
fn delivery_knows_no_socket_and_no_database_and_only_db_knows_sqlx() {
    assert_none(&limits::crates(&source::server()));
}

#[test]
fn sql_stands_in_one_folder() {
    assert_none(&limits::sql(&source::server()));
}

#[test]
fn no_file_and_no_function_is_too_long() {
    assert_none(&limits::lengths(&source::everything()));
}

#[test]
fn the_library_shows_run_and_nothing_else() {
    let sources = source::server();
    let lib = sources.iter().find(|source| source.file == "src/lib.rs");
    assert_none(&limits::public(lib.expect("src/lib.rs")));
}

#[test]
fn the_architecture_names_what_exists() {
    let text = include_str!("../../ARCHITECTURE.md");
    assert_none(&limits::unknown_names(text, &source::server()));
}

/// The checks themselves, each with a violation that it must find.
mod planted {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let mut sources = vec![Source::new("src/lib.rs", "")];
        sources.extend(files.iter().map(|(file, text)| Source::new(file, text)));
        sources
    }

    #[track_caller]
    fn assert_found(violations: &[String], words: &[&str]) {
        assert_eq!(violations.len(), 1, "{violations:?}");
        for word in words {
            assert!(violations[0].contains(word), "{}: {word}", violations[0]);
        }
    }

    #[test]
    fn an_import_against_the_table_is_found_however_it_is_written() {
        for text in [
            "\nuse crate::socketio::Client;",
            "\nuse crate::{event::Room, socketio::Client};",
            "\nuse super::{socketio::{self as other}};",
            "\nfn f() { crate::socketio::close(); }",
        ] {
            let found = table::violations(&sources(&[("src/http.rs", text)]));
            assert_found(
                &found,
                &[
                    "src/http.rs:2",
                    "http imports socketio",
                    "may import auth, db",
                ],
            );
        }
        let leaf = sources(&[("src/event.rs", "use crate::offset::Offset;")]);
        assert_found(&table::violations(&leaf), &["event imports offset::Offset"]);
        let item = "use crate::auth::{HostRefused, OriginPolicy};";
        let item = sources(&[("src/transport/opening.rs", item)]);
        assert_found(
            &table::violations(&item),
            &["transport imports auth::OriginPolicy", "auth::HostRefused"],
        );
        let main = sources(&[("src/main.rs", "fn main() { rowcast::app::serve() }")]);
        assert_found(&table::violations(&main), &["main imports app::serve"]);
        let unknown = sources(&[("src/utils.rs", "")]);
        assert_found(&table::violations(&unknown), &["utils is in no table"]);
    }

    /// A parser that finds nothing in the real sources would pass every check.
    #[test]
    fn imports_that_are_there_are_found_in_the_real_sources() {
        let sources = source::server();
        for (file, path) in [
            ("src/app/web.rs", "http::Api"),
            (
                "src/db/outbox/follow/reading.rs",
                "db::outbox::row::Unusable",
            ),
            ("src/demo/json_body.rs", "demo::Demo"),
            ("src/lib.rs", "app::serve"),
            ("src/main.rs", "run"),
        ] {
            let source = sources.iter().find(|source| source.file == file);
            let imports = imports::of(source.expect(file)).all;
            let found = imports.iter().any(|import| import.path.join("::") == path);
            assert!(found, "{file} imports {path}: {imports:?}");
        }
    }

    #[test]
    fn what_is_no_import_is_not_taken_for_one() {
        let text = r##"
            // use crate::socketio::Client;
            pub(in crate::socketio) struct A;
            const TEXT: &str = r#"use crate::socketio::Client;"#;
            const QUOTE: (char, &str) = ('"', "use \" crate::socketio::Client;");
            fn f<'a>(x: &'a str) -> impl Fn() + use<'a> { move || drop(x) }
            #[cfg(test)]
            mod tests { use crate::socketio::Client; }
        "##;
        assert_none(&table::violations(&sources(&[("src/http.rs", text)])));
    }

    #[test]
    fn a_circle_is_found_between_files_and_through_folders_and_reexports() {
        let siblings = [
            ("src/db/a.rs", "use super::b::B;"),
            ("src/db/b.rs", "use super::a::A;"),
        ];
        let words = ["a, b need each other", "src/db/a.rs:1", "src/db/b.rs:1"];
        assert_found(&circles::find(&sources(&siblings)), &words);
        let folders = [
            (
                "src/db.rs",
                "mod a; mod b; pub(crate) use b::{deep::B as C};",
            ),
            ("src/db/a.rs", "use super::C;"),
            ("src/db/b.rs", "mod deep; mod other;"),
            ("src/db/b/deep.rs", ""),
            ("src/db/b/other.rs", "fn f() { crate::db::a::f() }"),
        ];
        let words = ["imports db::b::deep", "src/db/b/other.rs:1"];
        assert_found(&circles::find(&sources(&folders)), &words);
        let three = [
            ("src/db/a.rs", "use super::b::B;"),
            ("src/db/b.rs", "use super::c::C;"),
            ("src/db/c.rs", "use super::a::A;"),
        ];
        assert_found(&circles::find(&sources(&three)), &["a, b, c"]);
    }

    #[test]
    fn a_child_may_extend_its_parents_type() {
        let family = [
            ("src/db.rs", "mod a; use a::f; struct Parent;"),
            ("src/db/a.rs", "use super::Parent; impl Parent {}"),
        ];
        assert_none(&circles::find(&sources(&family)));
    }

    #[test]
    fn a_crate_in_the_wrong_place_is_found() {
        let delivery = sources(&[("src/delivery/hub.rs", "\nuse axum::Router;")]);
        assert_found(&limits::crates(&delivery), &["src/delivery/hub.rs:2: axum"]);
        let http = sources(&[("src/http/api.rs", "fn f(_: &sqlx::PgPool) {}")]);
        assert_found(&limits::crates(&http), &["src/http/api.rs:1: sqlx"]);
        assert_none(&limits::crates(&sources(&[(
            "src/db/a.rs",
            "use sqlx::Row;",
        )])));
    }

    #[test]
    fn sql_in_the_wrong_place_is_found() {
        for statement in [
            "select * from rowcast.events",
            "\n  with x as (select 1) select * from x",
            "insert into t values (1)",
            "update t set x = 1",
            "delete from t",
        ] {
            let text = format!("\nconst READ: &str = \"{statement}\";");
            let found = limits::sql(&sources(&[("src/feed/probe.rs", &text)]));
            assert_found(&found, &["src/feed/probe.rs:2: SQL"]);
            assert_none(&limits::sql(&sources(&[("src/db/outbox.rs", &text)])));
        }
        let words = "const TEXT: &str = \"a message may have {0} bytes\";";
        assert_none(&limits::sql(&sources(&[("src/http.rs", words)])));
    }

    #[test]
    fn a_long_file_and_a_long_function_are_found() {
        let file = "\n".repeat(301);
        let found = limits::lengths(&sources(&[("src/http.rs", &file)]));
        assert_found(&found, &["src/http.rs: 301 lines"]);
        let function = |lines| format!("fn f() {{{}}}\nfn g() {{}}", "\n".repeat(lines));
        let found = limits::lengths(&sources(&[("src/http.rs", &function(60))]));
        assert_found(&found, &["src/http.rs:1: fn f has 61 lines"]);
        assert_none(&limits::lengths(&sources(&[(
            "src/http.rs",
            &function(59),
        )])));
    }

    #[test]
    fn a_name_that_does_not_exist_is_found() {
        let sources = sources(&[(
            "src/http/api.rs",
            "impl A { fn b() {} } const MAX_C: u8 = 1;",
        )]);
        for (text, name) in [
            ("see `src/http/ipa.rs`", "`src/http/ipa.rs`"),
            ("see `api.rs` and `ipa.rs`", "`ipa.rs`"),
            ("see `A::b` and `A::c`", "`A::c`"),
            ("see `MAX_C` and `MAX_D`", "`MAX_D`"),
        ] {
            assert_found(&limits::unknown_names(text, &sources), &[name]);
        }
    }

    #[test]
    fn something_public_is_found() {
        let lib = Source::new("src/lib.rs", "pub mod db;\npub fn run() -> ExitCode {}");
        assert_found(&limits::public(&lib), &["pub mod db;"]);
    }
}
