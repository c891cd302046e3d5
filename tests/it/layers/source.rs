//! The files of `src`, with what is neither code nor part of the server set aside.
//!
//! Knows as much of Rust's grammar as it takes to tell code from comments, strings and tests, and not more.

use std::fs;
use std::path::Path;

/// A file of `src`.
pub(super) struct Source {
    /// As it is named from the repository's root.
    pub(super) file: String,
    /// Its module: empty for `lib.rs` and `main.rs`.
    pub(super) module: Vec<String>,
    /// Its modules that exist in tests alone.
    pub(super) test_modules: Vec<String>,
    /// Its code, with comments, strings and tests blanked out, so that every byte is on the line that it was on.
    pub(super) code: String,
    /// The same with its tests.
    pub(super) code_and_tests: String,
    /// The strings of its code, each with the line it begins on.
    pub(super) strings: Vec<(usize, String)>,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn new(file: &str, text: &str) -> Self {
        let (code_and_tests, strings) = blank_text(text);
        let (code, test_modules, blanked) = blank_tests(&code_and_tests);
        let strings = strings
            .into_iter()
            .filter(|(at, _)| !blanked.iter().any(|range| range.contains(at)))
            .map(|(at, string)| (line_of(text, at), string));
        Self {
            file: file.to_owned(),
            module: module_of(file),
            test_modules,
            strings: strings.collect(),
            code,
            code_and_tests,
            lines: text.lines().count(),
        }
    }

    /// The part of `src` that it belongs to: the first name of its path.
    pub(super) fn folder(&self) -> &str {
        match self.file.as_str() {
            "src/lib.rs" => "lib",
            "src/main.rs" => "main",
            _ => &self.module[0],
        }
    }
}

/// Every file of `src`, without those that exist in tests alone.
pub(super) fn server() -> Vec<Source> {
    let all = everything();
    let tests: Vec<Vec<String>> = all
        .iter()
        .flat_map(|source| {
            let child = |name: &String| [&source.module[..], std::slice::from_ref(name)].concat();
            source.test_modules.iter().map(child)
        })
        .collect();
    all.into_iter()
        .filter(|source| !tests.iter().any(|test| source.module.starts_with(test)))
        .collect()
}

/// Every file of `src`.
pub(super) fn everything() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    assert!(files.len() > 100, "only {} files were found", files.len());
    files
        .iter()
        .map(|path| {
            let file = path.strip_prefix(root).expect("it is in the repository");
            let text = fs::read_to_string(path).expect("a source can be read");
            Source::new(file.to_str().expect("UTF-8"), &text)
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("src can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn module_of(file: &str) -> Vec<String> {
    let path = file
        .strip_prefix("src/")
        .and_then(|path| path.strip_suffix(".rs"))
        .expect("a file of src");
    match path {
        "lib" | "main" => Vec::new(),
        _ => path.split('/').map(str::to_owned).collect(),
    }
}

/// The line of a byte, counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// Blanks out comments and strings, and gives the strings back, each with where it begins.
fn blank_text(text: &str) -> (String, Vec<(usize, String)>) {
    let bytes = text.as_bytes();
    let (mut code, mut strings) = (bytes.to_vec(), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let end = if rest.starts_with("//") {
            at + rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            at + rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some((quote, closing)) = raw_string(text, at) {
            let body = at + quote;
            let length = text[body..].find(&closing).expect("a raw string ends");
            strings.push((at, text[body..body + length].to_owned()));
            body + length + closing.len()
        } else if let Some(string) = rest.strip_prefix('"') {
            let length = string_length(string);
            strings.push((at, string[..length].to_owned()));
            at + length + 2
        } else if rest.starts_with('\'') {
            at + character_length(rest)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        blank(&mut code, at..end);
        at = end;
    }
    let code = String::from_utf8(code).expect("whole characters were blanked");
    (code, strings)
}

/// Where a raw string that begins here has its text, and what ends it.
fn raw_string(text: &str, at: usize) -> Option<(usize, String)> {
    let within_word = text[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_');
    let after = text[at..].strip_prefix('r').filter(|_| {
        !within_word
            || (text[..at].ends_with('b') && !text[..at - 1].ends_with(char::is_alphanumeric))
    })?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(())?;
    Some((hashes + 2, format!("\"{}", "#".repeat(hashes))))
}

/// The bytes of a string up to its closing quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.expect("a string ends")
}

/// The bytes of a character in quotes; 1 where the quote begins a lifetime.
fn character_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(1, |end| end + 4),
        Some(_) => match chars.next() {
            Some((end, '\'')) => end + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// Blanks out what is compiled for tests alone, and names the modules in other files that are.
fn blank_tests(code: &str) -> (String, Vec<String>, Vec<std::ops::Range<usize>>) {
    const MARK: &str = "#[cfg(test)]";
    let (mut left, mut modules, mut ranges) = (code.as_bytes().to_vec(), Vec::new(), Vec::new());
    for (start, _) in code.match_indices(MARK) {
        let item = start + MARK.len();
        let end = item_end(code, item);
        let text = code[item..end].trim();
        if let Some(name) = text
            .strip_prefix("mod ")
            .and_then(|text| text.strip_suffix(';'))
        {
            modules.push(name.to_owned());
        }
        blank(&mut left, start..end);
        ranges.push(start..end);
    }
    let left = String::from_utf8(left).expect("whole characters were blanked");
    (left, modules, ranges)
}

/// Where the item ends that begins here: at its semicolon, or with its block.
pub(super) fn item_end(code: &str, from: usize) -> usize {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return at + 1;
                }
            }
            b';' if brackets == 0 && braces == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank(code: &mut [u8], range: std::ops::Range<usize>) {
    for byte in &mut code[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}
