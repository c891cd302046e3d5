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

/// A page of the documentation whose blocks are run.
pub(super) struct Page {
    file: &'static str,
    /// The folder of the tests that run them.
    tests: &'static str,
}

/// What this module's free functions read.
const GUIDE: Page = Page {
    file: "docs/INTEGRATION.md",
    tests: "tests/it/guide",
};
/// The page about tokens.
pub(super) const AUTH: Page = Page {
    file: "docs/auth.md",
    tests: "tests/it/guide/auth",
};

/// The page about clients that aren't JavaScript.
pub(super) const CLIENTS: Page = Page {
    file: "docs/clients.md",
    tests: "tests/it/guide/clients",
};

/// All blocks of the guide, of this language under that heading, in their order. There is at least one.
pub(super) fn blocks(heading: &str, language: &str) -> Vec<String> {
    GUIDE.blocks(heading, language)
}

/// The only block of this language under that heading.
pub(super) fn block(heading: &str, language: &str) -> String {
    GUIDE.block(heading, language)
}

/// The rows of the guide's tables under that heading.
pub(super) fn rows(heading: &str) -> Vec<Vec<String>> {
    GUIDE.rows(heading)
}

impl Page {
    fn text(&self) -> String {
        fs::read_to_string(repository(self.file)).expect("the page")
    }

    pub(super) fn blocks(&self, heading: &str, language: &str) -> Vec<String> {
        let wanted = |block: &Block| block.heading == heading && block.language == language;
        let found: Vec<_> = self.parse().into_iter().filter(wanted).collect();
        assert!(!found.is_empty(), "no {language} under {heading:?}");
        found.into_iter().map(|block| block.text).collect()
    }

    pub(super) fn block(&self, heading: &str, language: &str) -> String {
        let mut found = self.blocks(heading, language);
        assert_eq!(found.len(), 1, "several {language} under {heading:?}");
        found.remove(0)
    }

    /// The rows of the tables under that heading, without their heads: the text of each cell.
    pub(super) fn rows(&self, heading: &str) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let (mut here, mut body, mut code) = (false, false, false);
        for line in self.text().lines() {
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

    fn parse(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut heading = String::new();
        let mut open = false;
        for line in self.text().lines() {
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

    /// No test asks for these.
    fn unrun(&self) -> Vec<(String, String)> {
        let mut asked = BTreeSet::new();
        for file in fs::read_dir(repository(self.tests)).expect("a folder") {
            let path = file.expect("a file").path();
            if path.is_dir() {
                continue;
            }
            let source = fs::read_to_string(path).expect("a source");
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
        let places = self
            .parse()
            .into_iter()
            .map(|block| (block.heading, block.language));
        places.filter(|place| !asked.contains(place)).collect()
    }
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

#[test]
fn every_block_of_the_guide_is_run() {
    assert_eq!(GUIDE.unrun(), [], "no test runs these");
}

#[test]
fn every_block_of_the_page_about_tokens_is_run() {
    assert_eq!(AUTH.unrun(), [], "no test runs these");
}

#[test]
fn every_block_of_the_page_about_other_clients_is_run_or_says_that_it_is_not() {
    let unrun = CLIENTS.unrun();
    let languages: Vec<_> = unrun
        .iter()
        .map(|(_, language)| language.as_str())
        .collect();
    assert_eq!(languages, ["swift", "kotlin", "dart"], "no test runs these");
    for (heading, _) in &unrun {
        let section = format!("## {heading}\n\nNot run by a test.\n");
        assert!(
            CLIENTS.text().contains(&section),
            "{heading} does not say it"
        );
    }
}
