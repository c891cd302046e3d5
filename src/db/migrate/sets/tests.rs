//! What a migration says of itself.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::MigrationType;

use super::*;

fn migration(version: i64, sql: &'static str) -> Migration {
    let kind = MigrationType::Simple;
    Migration::new(version, Cow::Borrowed("n"), kind, sql.into_sql_str(), false)
}

#[test]
fn a_later_version_says_since_when_its_database_is_served() {
    assert_eq!(since("since 0021 rooms"), Some(21));
    for unsaid in [
        "rooms",
        "since 0021",
        "since ever rooms",
        "rooms since 0021 x",
    ] {
        assert_eq!(since(unsaid), None, "{unsaid}");
    }
    let ours: Vec<Applied> = CORE
        .iter()
        .map(|it| (it.version, hex(&it.checksum), it.description.to_string()))
        .collect();
    let newest = ours.iter().map(|it| it.0).max().expect("there are some");
    let with = |version, name: String| [&ours[..], &[(version, "00".to_owned(), name)]].concat();
    assert!(matches!(later(&CORE, &ours), Ok(0)));
    assert!(matches!(
        later(&CORE, &with(newest + 1, format!("since {newest} x"))),
        Ok(1)
    ));
    // One that needs a server which knows a later one; one that says nothing; one that should have been known.
    for refused in [
        with(newest + 2, format!("since {} x", newest + 1)),
        with(newest + 1, "x".to_owned()),
        with(0, "since 0000 x".to_owned()),
    ] {
        assert!(later(&CORE, &refused).is_err(), "{:?}", refused.last());
    }
}

#[test]
fn the_head_of_a_migration_says_that_writers_wait() {
    let missing = |sql| Missing {
        migration: Box::leak(Box::new(migration(1, sql))),
        begins_anew: false,
    };
    let waits = missing("-- An index.\n--\n-- Writers wait: the index is made\n\nselect 1");
    assert_eq!(waits.writers_wait(), Some("the index is made"));
    let said = core().makes_wait(&waits, "the index is made").to_string();
    assert!(
        said.contains("0001_n") && said.contains("`rowcast migrate`"),
        "{said}"
    );
    let goes_on = missing("-- A function.\n\nselect 1;\n-- Writers wait: not in the head");
    assert_eq!(goes_on.writers_wait(), None);
}
