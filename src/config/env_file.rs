//! The syntax of `.env`, as dotenvy reads it.
//!
//! Guarantees that a broken file is an error with the line's number, never its text, which may
//! hold a password.

use std::cell::Cell;
use std::io::Read;

use super::problem::Problem;

/// The entries in their order; of two with one name the first counts, as in dotenvy's own loading.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    let delivered = Cell::new(0);
    let mut entries = dotenvy::from_read_iter(LineByLine {
        rest: text.as_bytes(),
        delivered: &delivered,
    });
    let mut parsed = Vec::new();
    loop {
        let before = delivered.get();
        match entries.next() {
            Some(Ok(entry)) => parsed.push(entry),
            Some(Err(_)) => return Err(broken_line(text, before)),
            None => return Ok(parsed),
        }
    }
}

/// The problem of the first entry after `before` lines.
fn broken_line(text: &str, before: usize) -> Problem {
    let is_entry = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let entry = text.lines().skip(before).position(is_entry);
    let number = before + entry.unwrap_or_default() + 1;
    Problem::line(format!(
        ".env line {number} cannot be parsed (its text is not shown); \
            give NAME=value, and quote a value that has spaces, # or $: NAME='value'"
    ))
}

/// Delivers one line a read and counts them: dotenvy's errors have the text of a line, not its number.
struct LineByLine<'a> {
    rest: &'a [u8],
    delivered: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let newline = self.rest.iter().position(|byte| *byte == b'\n');
        let line = newline.map_or(self.rest.len(), |at| at + 1);
        let length = (&self.rest[..line]).read(buffer)?;
        if newline.is_some_and(|at| at < length) {
            self.delivered.set(self.delivered.get() + 1);
        }
        self.rest = &self.rest[length..];
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_env_file_names_the_line_and_not_its_text() {
        let file = "# a comment\nPORT=1\n\nDATABASE_URL=postgres://u:se cret@h/d\nHOST=::1\n";
        let problem = parse(file).expect_err("an error");
        let line = problem.to_string();
        assert!(line.starts_with(".env line 4 cannot be parsed"), "{line}");
        assert!(!line.contains("cret"), "{line}");
    }

    #[test]
    fn an_unclosed_quote_names_the_line_it_opens_on() {
        let problem = parse("PORT=1\nHOST='abc\nROWCAST_POLL=1s\n").expect_err("an error");
        assert!(problem.to_string().starts_with(".env line 2 "), "{problem}");
    }

    #[test]
    fn lines_are_counted_through_long_and_quoted_ones() {
        let long = "x".repeat(20_000);
        let file = format!("HOST='{long}'\nPORT=\"1\n# no comment\n2\"\n\n# c\nROWCAST POLL\n");
        let problem = parse(&file).expect_err("an error");
        assert!(problem.to_string().starts_with(".env line 7 "), "{problem}");
    }
}
