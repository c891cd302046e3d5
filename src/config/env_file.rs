//! The syntax of `.env`, as dotenvy reads it, but for `$`.
//!
//! Outside single quotes `${NAME}` and `$NAME` stand for the value of a variable of the environment or of a line above. Where
//! there is no such variable the text stays as it was written: dotenvy would take it away, and a password with a `$` would be
//! another one. A `$NAME` that was replaced is warned of, because it may have been meant as written.
//! Guarantees that a broken file is an error with the line's number, never its text, which may
//! hold a password.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;

use super::problem::Problem;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct EnvFile {
    /// The entries in their order; of two with one name the first counts, as in dotenvy's own loading.
    pub(super) entries: Vec<(String, String)>,
    /// The names of an entry and of the variable that a `$` in it was replaced by, or was not.
    pub(super) replaced: Vec<Replaced>,
}

/// A `$` that was probably meant otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    /// The entry in which it stands.
    pub(super) entry: String,
    /// The variable that it names.
    pub(super) variable: String,
    /// Whether there is such a variable.
    pub(super) is_known: bool,
}

/// Stands for a `$` that may begin a variable's name, while dotenvy reads the file: a code point that is no character.
const DOLLAR: char = '\u{fdd0}';

/// Reads a file. `environment` has the variables that win over its lines.
pub(super) fn parse(text: &str, environment: &HashMap<String, String>) -> Result<EnvFile, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    let delivered = Cell::new(0);
    let marked = mark_dollars(text);
    let mut entries = dotenvy::from_read_iter(LineByLine {
        rest: marked.as_bytes(),
        delivered: &delivered,
    });
    let mut file = EnvFile::default();
    loop {
        let before = delivered.get();
        match entries.next() {
            Some(Ok((name, marked))) => {
                let value = file.substitute(&name, &marked, environment);
                file.entries.push((name, value));
            }
            Some(Err(_)) => return Err(broken_line(text, before)),
            None => return Ok(file),
        }
    }
}

impl EnvFile {
    /// The value with every variable that it names.
    fn substitute(
        &mut self,
        entry: &str,
        marked: &str,
        environment: &HashMap<String, String>,
    ) -> String {
        let mut parts = marked.split(DOLLAR);
        let mut value = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (variable, in_braces, rest) = split_name(part);
            let known = (!variable.is_empty())
                .then(|| environment.get(variable).or_else(|| self.above(variable)))
                .flatten()
                .cloned();
            if !variable.is_empty() && known.is_some() != in_braces {
                self.replaced.push(Replaced {
                    entry: entry.to_owned(),
                    variable: variable.to_owned(),
                    is_known: known.is_some(),
                });
            }
            match known {
                Some(known) => value.extend([&known, rest]),
                None => value.extend(["$", part]),
            }
        }
        value
    }

    /// The value of an earlier line.
    fn above(&self, name: &str) -> Option<&String> {
        let found = self.entries.iter().find(|(above, _)| above == name);
        found.map(|(_, value)| value)
    }
}

/// The variable's name that the text after a `$` begins with, whether it is in braces, and what follows.
fn split_name(text: &str) -> (&str, bool, &str) {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    if let Some((name, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}'))
        && !name.contains(is_end)
    {
        return (name, true, rest);
    }
    let (name, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    (name, false, rest)
}

/// The text with a mark for every `$` that is neither escaped nor in single quotes nor in a comment.
fn mark_dollars(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    let (mut quote, mut before) = (None, '\n');
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        marked.push(if c == '$' && quote != Some('\'') {
            DOLLAR
        } else {
            c
        });
        match (quote, c) {
            (None, '#') if before.is_whitespace() => {
                // A comment: nothing in it begins or ends a quote.
                for c in chars.by_ref().take_while(|c| *c != '\n') {
                    marked.push(c);
                }
                marked.push('\n');
                before = '\n';
                continue;
            }
            (None | Some('"'), '\\') => marked.extend(chars.next()),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    marked
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

    fn problem(text: &str) -> String {
        parse(text, &HashMap::new())
            .expect_err("an error")
            .to_string()
    }

    /// The value of the last entry, and what is warned of.
    fn value(text: &str) -> (String, Vec<(String, bool)>) {
        let environment = HashMap::from([("HOME".to_owned(), "/home/ana".to_owned())]);
        let file = parse(text, &environment).expect("a good file");
        let (_, value) = file.entries.last().expect("an entry");
        let replaced = file.replaced.into_iter();
        (
            value.clone(),
            replaced.map(|it| (it.variable, it.is_known)).collect(),
        )
    }

    #[test]
    fn a_dollar_that_names_no_variable_stands_as_written() {
        for (text, expected) in [
            ("A=pa$word", "pa$word"),
            ("A=\"pa$word\"", "pa$word"),
            ("A='pa$HOME'", "pa$HOME"),
            ("A='it''s $HOME'\nB='$HOME'", "$HOME"),
            ("A=pa\\$HOME", "pa$HOME"),
            ("A=\"pa\\$HOME\"", "pa$HOME"),
            ("A=$", "$"),
            ("A=$$1", "$$1"),
            ("A=a$%b$", "a$%b$"),
            ("A=${}x", "${}x"),
            ("A=${unclosed", "${unclosed"),
            ("A=$1$2 # it's $HOME", "$1$2"),
            ("# it's\nA=$x", "$x"),
            ("A=a#$x", "a#$x"),
        ] {
            assert_eq!(value(text), (expected.to_owned(), vec![]), "{text}");
        }
    }

    #[test]
    fn a_dollar_that_names_a_variable_is_its_value() {
        for (text, expected, replaced) in [
            ("A=${HOME}/x", "/home/ana/x", None),
            ("A=\"${HOME}\"", "/home/ana", None),
            ("P_1=s3cret\nA=a:${P_1}@h", "a:s3cret@h", None),
            ("A=x$HOME-y", "x/home/ana-y", Some(("HOME", true))),
            ("P_1=s\nA=$P_1", "s", Some(("P_1", true))),
            ("A=${UNSET}x", "${UNSET}x", Some(("UNSET", false))),
        ] {
            let replaced = replaced.map(|(name, known): (&str, _)| (name.to_owned(), known));
            let expected = (expected.to_owned(), replaced.into_iter().collect());
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn a_broken_env_file_names_the_line_and_not_its_text() {
        let file = "# a comment\nPORT=1\n\nDATABASE_URL=postgres://u:se cret@h/d\nHOST=::1\n";
        let line = problem(file);
        assert!(line.starts_with(".env line 4 cannot be parsed"), "{line}");
        assert!(!line.contains("cret"), "{line}");
    }

    #[test]
    fn an_unclosed_quote_names_the_line_it_opens_on() {
        let problem = problem("PORT=1\nHOST='abc\nROWCAST_POLL=1s\n");
        assert!(problem.starts_with(".env line 2 "), "{problem}");
    }

    #[test]
    fn lines_are_counted_through_long_and_quoted_ones() {
        let long = "x".repeat(20_000);
        let file = format!("HOST='{long}'\nPORT=\"1\n# no comment\n2\"\n\n# c\nROWCAST POLL\n");
        let problem = problem(&file);
        assert!(problem.starts_with(".env line 7 "), "{problem}");
    }
}
