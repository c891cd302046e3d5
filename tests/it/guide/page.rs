//! The page as the tests see it: blocks by the heading that they stand under and their language, and tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Debug)]
struct Block {
    heading: String,
    language: String,
    text: String,
}

/// A path in this repository.
pub(super) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The page's text.
pub(super) fn text() -> String {
    fs::read_to_string(repository("docs/INTEGRATION.md")).expect("the guide")
}

/// All blocks of this language under that heading, in their order. There is at least one.
pub(super) fn blocks(heading: &str, language: &str) -> Vec<String> {
    let wanted = |block: &Block| block.heading == heading && block.language == language;
    let found: Vec<_> = parse().into_iter().filter(wanted).collect();
    assert!(!found.is_empty(), "no {language} under {heading:?}");
    found.into_iter().map(|block| block.text).collect()
}

/// The only block of this language under that heading.
pub(super) fn block(heading: &str, language: &str) -> String {
    let mut found = blocks(heading, language);
    assert_eq!(found.len(), 1, "several {language} under {heading:?}");
    found.remove(0)
}

/// The rows of the tables under that heading, without their heads: the text of each cell.
pub(super) fn rows(heading: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut here, mut body, mut code) = (false, false, false);
    for line in text().lines() {
        if line.starts_with("```") {
            code = !code;
        } else if line.starts_with('#') && !code {
            here = title(line) == heading;
        } else if !line.starts_with('|') || !here {
            body = false;
        } else if line.starts_with("|--") {
            body = true;
        } else if body {
            let line = line.trim_matches('|').replace("\\|", "\u{1}");
            let cells = line
                .split('|')
                .map(|cell| cell.trim().replace('\u{1}', "|"));
            rows.push(cells.collect());
        }
    }
    assert!(!rows.is_empty(), "no table under {heading:?}");
    rows
}

/// What stands in backticks.
pub(super) fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn title(line: &str) -> &str {
    line.trim_start_matches('#').trim()
}

fn parse() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut heading = String::new();
    let mut open = false;
    for line in text().lines() {
        if let Some(language) = line.strip_prefix("```") {
            open = !open;
            if open {
                assert!(
                    !language.is_empty(),
                    "a block without a language under {heading:?}"
                );
                let (heading, language) = (heading.clone(), language.to_owned());
                blocks.push(Block {
                    heading,
                    language,
                    text: String::new(),
                });
            }
        } else if open {
            let block = blocks.last_mut().expect("one is open");
            block.text.push_str(line);
            block.text.push('\n');
        } else if line.starts_with('#') {
            title(line).clone_into(&mut heading);
        }
    }
    assert!(!open, "the last block is closed");
    blocks
}

#[test]
fn every_block_of_the_guide_is_run() {
    let mut asked = BTreeSet::new();
    for file in fs::read_dir(repository("tests/it/guide")).expect("a folder") {
        let source = fs::read_to_string(file.expect("a file").path()).expect("a source");
        // `block("Heading", "language")`, however it is broken over lines.
        for call in source.split("block").skip(1) {
            let call = call
                .trim_start_matches('s')
                .split(')')
                .next()
                .unwrap_or_default();
            let mut texts = call
                .strip_prefix('(')
                .unwrap_or_default()
                .split('"')
                .skip(1)
                .step_by(2);
            if let (Some(heading), Some(language)) = (texts.next(), texts.next()) {
                asked.insert((heading.to_owned(), language.to_owned()));
            }
        }
    }
    let unrun: Vec<_> = parse()
        .into_iter()
        .map(|block| (block.heading, block.language))
        .filter(|place| !asked.contains(place))
        .collect();
    assert!(unrun.is_empty(), "no test runs {unrun:?}");
}
