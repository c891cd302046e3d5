//! Text of somebody else's as one line: in the log, and where a command prints a line for each thing. A leaf.
//!
//! Guarantees that nobody's text begins a line of its own, nor says anything to a terminal: errors of the database may repeat what a client
//! said, and names of rooms what a customer did. Control characters are written as JSON has them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text without anything that ends a line or steers a terminal, but what is `kept`.
pub(crate) fn one_line(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |it: char| (it.is_control() || matches!(it, '\u{2028}' | '\u{2029}')) && !kept(it);
    if !text.contains(is_bad) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 16);
    for it in text.chars() {
        match it {
            it if !is_bad(it) => line.push(it),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            it => write!(line, "\\u{:04x}", u32::from(it)).expect("a string takes all"),
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line() {
        let plain = |text| one_line(text, |_| false).into_owned();
        assert_eq!(plain("a b é 🙂"), "a b é 🙂");
        assert_eq!(plain("a\nb\r\nc\td\n"), "a\\nb\\r\\nc\\td\\n");
        assert_eq!(
            plain("a\u{85}\u{2028}\0\u{1b}[2J\u{9b}"),
            "a\\u0085\\u2028\\u0000\\u001b[2J\\u009b"
        );
        let coloured = one_line("\u{1b}[2mred\n", |it| it == '\u{1b}');
        assert_eq!(coloured, "\u{1b}[2mred\\n");
    }

    #[test]
    fn json_stays_what_it_was() {
        let json = one_line("{\"a\":\"b\u{7f}\u{9b}\"}", |_| false);
        let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read["a"], "b\u{7f}\u{9b}");
    }
}
