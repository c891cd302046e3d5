//! The appendix: each line of the seed names a test that is there.

use std::fs;

use super::page::{quoted, repository, rows};

#[test]
fn every_test_of_the_appendix_is_there() {
    let rows = rows("Appendix: the seed, line by line");
    assert_eq!(rows.len(), 60, "lines of the seed's sections 2 to 8");
    let mut missing = Vec::new();
    for row in &rows {
        let tests = quoted(row.last().expect("a cell"));
        assert!(!tests.is_empty(), "no test proves {row:?}");
        missing.extend(tests.into_iter().filter(|test| !exists(test)));
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// A test of Rust as `module::name`, or of Vitest as `file: title`.
fn exists(test: &str) -> bool {
    if let Some((file, title)) = test.split_once(": ") {
        let source = fs::read_to_string(repository("client/test").join(file)).unwrap_or_default();
        return source.contains(&format!("(\"{title}\""));
    }
    let Some((module, name)) = test.rsplit_once("::") else {
        return false;
    };
    let path = format!("tests/it/{}.rs", module.replace("::", "/"));
    let source = fs::read_to_string(repository(&path)).unwrap_or_default();
    source.split("test]\n").skip(1).any(|after| {
        let line = after.lines().next().unwrap_or_default();
        line.trim_start_matches("async ")
            .starts_with(&format!("fn {name}("))
    })
}
