//! A room's template solved for a room: which values its columns must have.
//!
//! No I/O. The values serve to find rows by an index. Whether a row belongs to the room is decided by rendering its template. So
//! it is harmless to find no values, but wrong values would hide rows.

/// A template as its literal texts and, between each two of them, a column's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// One more than there are columns; any of them may be empty.
    literals: Vec<String>,
    columns: Vec<String>,
}

/// The values that make a template a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Solution {
    /// There are none.
    None,
    /// These, and no others: each column with its value.
    Only(Vec<(String, String)>),
    /// More than one.
    Several,
}

impl Template {
    /// Parses a template that `rowcast.attach` accepted: text with columns in braces.
    pub(super) fn parse(text: &str) -> Self {
        let (mut literals, mut columns) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (column, tail) = tail.split_once('}').unwrap_or((tail, ""));
            literals.push(literal.to_owned());
            columns.push(column.to_owned());
            rest = tail;
        }
        literals.push(rest.to_owned());
        Self { literals, columns }
    }

    /// Columns joined by a separator.
    pub(super) fn joined(columns: &[String], separator: &str) -> Self {
        let mut literals = vec![separator.to_owned(); columns.len() + 1];
        let last = columns.len();
        literals[0].clear();
        literals[last].clear();
        Self {
            literals,
            columns: columns.to_vec(),
        }
    }

    /// Whether some values make a text that begins like this.
    pub(super) fn may_begin(&self, prefix: &str) -> bool {
        let literal = &*self.literals[0];
        literal.starts_with(prefix) || (!self.columns.is_empty() && prefix.starts_with(literal))
    }

    /// Which values make this text.
    pub(super) fn solve(&self, text: &str) -> Solution {
        let (first, last) = (&*self.literals[0], &*self.literals[self.columns.len()]);
        if self.columns.is_empty() {
            return if first == text {
                Solution::Only(Vec::new())
            } else {
                Solution::None
            };
        }
        let inner = text
            .strip_prefix(first)
            .and_then(|rest| rest.strip_suffix(last));
        let Some(inner) = inner else {
            return Solution::None;
        };
        let separators = &self.literals[1..self.columns.len()];
        let Some(early) = split_early(inner, separators) else {
            return Solution::None;
        };
        // The solution is the only one if each separator's first possible place is also its last.
        if split_late(inner, separators).as_ref() != Some(&early) {
            return Solution::Several;
        }
        let values = early.into_iter().map(str::to_owned);
        Solution::Only(self.columns.iter().cloned().zip(values).collect())
    }
}

fn split_early<'a>(mut text: &'a str, separators: &[String]) -> Option<Vec<&'a str>> {
    let mut values = Vec::with_capacity(separators.len() + 1);
    for separator in separators {
        let (value, rest) = text.split_once(&**separator)?;
        values.push(value);
        text = rest;
    }
    values.push(text);
    Some(values)
}

fn split_late<'a>(mut text: &'a str, separators: &[String]) -> Option<Vec<&'a str>> {
    let mut values = Vec::with_capacity(separators.len() + 1);
    for separator in separators.iter().rev() {
        let (rest, value) = text.rsplit_once(&**separator)?;
        values.push(value);
        text = rest;
    }
    values.push(text);
    values.reverse();
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solve(template: &str, text: &str) -> Solution {
        Template::parse(template).solve(text)
    }

    fn only(values: &[(&str, &str)]) -> Solution {
        let owned = |(column, value): &(&str, &str)| ((*column).to_owned(), (*value).to_owned());
        Solution::Only(values.iter().map(owned).collect())
    }

    #[test]
    fn one_column_takes_the_rest() {
        assert_eq!(
            solve("conversation:{c}", "conversation:4:2"),
            only(&[("c", "4:2")])
        );
        assert_eq!(
            solve("conversation:{c}", "conversation:"),
            only(&[("c", "")])
        );
        assert_eq!(solve("conversation:{c}", "room:4"), Solution::None);
        assert_eq!(
            solve("conversation:x{c}y", "conversation:x4y"),
            only(&[("c", "4")])
        );
        assert_eq!(
            solve("conversation:x{c}x", "conversation:x"),
            Solution::None
        );
        assert_eq!(
            solve("{c}", "conversation:4"),
            only(&[("c", "conversation:4")])
        );
    }

    #[test]
    fn a_literal_is_itself() {
        assert_eq!(solve("conversation:lobby", "conversation:lobby"), only(&[]));
        assert_eq!(
            solve("conversation:lobby", "conversation:lobby2"),
            Solution::None
        );
    }

    #[test]
    fn several_columns_are_told_apart_where_they_can_be() {
        let template = "conversation:{a}:{b}";
        assert_eq!(
            solve(template, "conversation:1:2"),
            only(&[("a", "1"), ("b", "2")])
        );
        assert_eq!(
            solve(template, "conversation::"),
            only(&[("a", ""), ("b", "")])
        );
        assert_eq!(solve(template, "conversation:1"), Solution::None);
        assert_eq!(solve(template, "conversation:1:2:3"), Solution::Several);
        assert_eq!(solve("{a}{b}", "xy"), Solution::Several);
        assert_eq!(solve("{a}--{b}", "1---2"), Solution::Several);
        assert_eq!(solve("ä{a}ö{b}ü", "ä1ö2ü"), only(&[("a", "1"), ("b", "2")]));
    }

    #[test]
    fn keys_are_joined() {
        let template = Template::joined(&["a".to_owned(), "b".to_owned()], ":");
        assert_eq!(template, Template::parse("{a}:{b}"));
    }

    #[test]
    fn a_template_begins_like_a_conversation_or_never_does() {
        let may = |template: &str| Template::parse(template).may_begin("conversation:");
        for yes in [
            "conversation:{c}",
            "conversation:lobby",
            "{c}",
            "conv{c}",
            "conversation:a{b}",
        ] {
            assert!(may(yes), "{yes}");
        }
        for no in ["order:{c}", "conversation", "conversations:{c}", "conv"] {
            assert!(!may(no), "{no}");
        }
    }
}
