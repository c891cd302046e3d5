//! What a file of `src` names of other files, by `use` and in its code.

use std::collections::HashMap;

use super::source::{Source, line_of};

/// A path into our own crate, as names from its root.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
}

/// What a file imports.
#[derive(Default)]
pub(super) struct Imports {
    pub(super) all: Vec<Import>,
    /// The names that `use` brings into the file, and what each stands for.
    pub(super) names: HashMap<String, Vec<String>>,
}

struct Token<'a> {
    at: usize,
    text: &'a str,
}

struct Parser<'a> {
    source: &'a Source,
    tokens: Vec<Token<'a>>,
    /// The modules that the file declares.
    children: Vec<&'a str>,
    found: Imports,
}

/// Finds every path of a file that leads to another one.
pub(super) fn of(source: &Source) -> Imports {
    let tokens = tokens(&source.code);
    let children = tokens
        .windows(3)
        .filter(|three| three[0].text == "mod" && three[2].text == ";")
        .map(|three| three[1].text)
        .collect();
    let mut parser = Parser {
        source,
        tokens,
        children,
        found: Imports::default(),
    };
    parser.run();
    parser.found
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let (bytes, mut tokens, mut at) = (code.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let length = if is_word(bytes[at]) {
            bytes[at..]
                .iter()
                .take_while(|byte| is_word(**byte))
                .count()
        } else if code[at..].starts_with("::") {
            2
        } else {
            code[at..].chars().next().map_or(1, char::len_utf8)
        };
        let text = &code[at..at + length];
        if !text.trim().is_empty() {
            tokens.push(Token { at, text });
        }
        at += length;
    }
    tokens
}

impl<'a> Parser<'a> {
    fn text(&self, index: usize) -> &'a str {
        self.tokens.get(index).map_or("", |token| token.text)
    }

    fn run(&mut self) {
        let mut index = 0;
        while index < self.tokens.len() {
            if self.text(index) == "use" && self.text(index + 1) != "<" {
                index = self.tree(index + 1, &[]);
            } else if self.text(index + 1) == "::" && self.is_root(index) {
                index = self.path_in_code(index);
            } else {
                index += 1;
            }
        }
    }

    /// Whether a path that begins here leads into our own crate.
    fn is_root(&self, index: usize) -> bool {
        let before = |back: usize| index.checked_sub(back).map_or("", |index| self.text(index));
        let says_who_may_see = before(1) == "in" && before(2) == "(";
        before(1) != "::" && !says_who_may_see && self.absolute(&[self.text(index)]).is_some()
    }

    fn path_in_code(&mut self, start: usize) -> usize {
        let (mut index, mut path) = (start + 1, vec![self.text(start)]);
        while self.text(index) == "::" && is_name(self.text(index + 1)) {
            path.push(self.text(index + 1));
            index += 2;
        }
        self.add(start, &path);
        index
    }

    /// One branch of a `use`: names up to the end, a comma, or further branches. Returns where it ends.
    fn tree(&mut self, mut index: usize, prefix: &[&'a str]) -> usize {
        let (start, mut path) = (index, prefix.to_vec());
        loop {
            match self.text(index) {
                "{" => {
                    index += 1;
                    while self.text(index) != "}" {
                        index = self.tree(index, &path);
                        index += usize::from(self.text(index) == ",");
                    }
                    return index + 1;
                }
                "::" => {}
                "as" => {
                    let name = self.text(index + 1);
                    self.add_named(start, &path, name);
                    return index + 2;
                }
                name if is_name(name) || name == "*" => path.push(name),
                _ => break,
            }
            index += 1;
        }
        if path.last() == Some(&"self") && path.len() > 1 {
            path.pop();
        }
        let name = path.last().copied().unwrap_or_default();
        self.add_named(start, &path, name);
        index
    }

    fn add_named(&mut self, start: usize, path: &[&str], name: &str) {
        if let Some(path) = self.add(start, path) {
            self.found.names.insert(name.to_owned(), path);
        }
    }

    fn add(&mut self, start: usize, path: &[&str]) -> Option<Vec<String>> {
        let path = self.absolute(path)?;
        let line = line_of(&self.source.code, self.tokens.get(start)?.at);
        self.found.all.push(Import {
            line,
            path: path.clone(),
        });
        Some(path)
    }

    /// A path from our crate's root; `None` where it leads elsewhere.
    fn absolute(&self, path: &[&str]) -> Option<Vec<String>> {
        let mut from: Vec<&str> = self.source.module.iter().map(String::as_str).collect();
        let (first, mut rest) = path.split_first()?;
        match *first {
            "crate" => from.clear(),
            "rowcast" if self.source.folder() == "main" => from.clear(),
            "self" => {}
            "super" => {
                from.pop();
                while let Some((&"super", after)) = rest.split_first() {
                    from.pop();
                    rest = after;
                }
            }
            child if self.children.contains(&child) => from.push(child),
            _ => return None,
        }
        from.extend(rest);
        Some(from.into_iter().map(str::to_owned).collect())
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_') && text != "as"
}
