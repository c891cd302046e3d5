//! What identifies and what sorts the messages of a page, where several tables may feed one room. No I/O.

use super::source::Source;

/// What a table's messages have, by the names of their members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    key: &'a [String],
    order: &'a [String],
    members: &'a [String],
    /// Whether they are merged with other tables' by what sorts them first.
    is_timed: bool,
}

impl<'a> From<&'a Source> for Shape<'a> {
    fn from(source: &'a Source) -> Self {
        Self {
            key: &source.key,
            order: &source.order,
            members: &source.members,
            is_timed: source.instant().is_some(),
        }
    }
}

/// The members that identify a message and those that sort it; none where the tables have no such in common. The key is for `all`
/// tables of the room, whose next event may be of any of them; without such a key, and for the order, those that are `shown` in the page
/// decide, where any are.
pub(super) fn common(all: &[Shape<'_>], shown: &[Shape<'_>]) -> (Vec<String>, Vec<String>) {
    let shown = if shown.is_empty() { all } else { shown };
    let key = common_key(all).or_else(|| common_key(shown));
    (key.unwrap_or_default(), common_order(shown))
}

/// One table's messages are sorted by all of its order. Those of several are merged by their time alone: at one time, the table decides.
fn common_order(shapes: &[Shape<'_>]) -> Vec<String> {
    match shapes {
        [] => Vec::new(),
        [one] => one.order.to_vec(),
        [first, ..] => {
            let time = first.order.first();
            let is_by_it = |shape: &Shape<'_>| shape.is_timed && shape.order.first() == time;
            let time = time.filter(|_| shapes.iter().all(is_by_it));
            time.cloned().into_iter().collect()
        }
    }
}

/// Members of which each table's messages have just those that are their key, in its order.
fn common_key(shapes: &[Shape<'_>]) -> Option<Vec<String>> {
    let longest = shapes.iter().map(|shape| shape.key);
    let mut key = longest.max_by_key(|key| key.len())?.to_vec();
    for member in shapes.iter().flat_map(|shape| shape.key) {
        if !key.contains(member) {
            key.push(member.clone());
        }
    }
    let is_key = |shape: &Shape<'_>| {
        let mut has = key
            .iter()
            .filter(|member| shape.members.contains(member))
            .peekable();
        has.peek().is_some() && has.eq(shape.key)
    };
    shapes.iter().all(is_key).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn of(all: &[(&str, &str, &str)], shown: &[(&str, &str, &str)]) -> (String, String) {
        let owned = |tables: &[(&str, &str, &str)]| -> Vec<_> {
            let table = tables.iter();
            table
                .map(|(key, order, members)| [words(key), words(order), words(members)])
                .collect()
        };
        let (all, shown) = (owned(all), owned(shown));
        let (key, order) = common(&shapes(&all), &shapes(&shown));
        (key.join(" "), order.join(" "))
    }

    fn shapes(tables: &[[Vec<String>; 3]]) -> Vec<Shape<'_>> {
        let table = tables.iter();
        table
            .map(|[key, order, members]| Shape {
                key,
                order,
                members,
                is_timed: order.first().is_some_and(|first| first == "at"),
            })
            .collect()
    }

    #[test]
    fn tables_have_a_key_in_common_if_each_message_has_its_own_by_it() {
        let (a, b) = (
            ("id", "at id", "id at body"),
            ("tenant id", "at id", "tenant id at"),
        );
        let key = |all: &[_]| of(all, all).0;
        assert_eq!(of(&[], &[]), (String::new(), String::new()));
        assert_eq!(of(&[a], &[a]), ("id".to_owned(), "at id".to_owned()));
        assert_eq!(of(&[a, a], &[a, a]), ("id".to_owned(), "at".to_owned()));
        let plain = ("id", "id", "id body");
        assert_eq!(of(&[plain], &[plain]).1, "id");
        assert_eq!(of(&[plain, plain], &[plain, plain]).1, "", "in blocks");
        assert_eq!(key(&[a, b]), "tenant id");
        assert_eq!(key(&[b, a]), "tenant id");
        let other = ("nr", "nr", "nr text");
        assert_eq!(
            of(&[a, other], &[a, other]),
            ("nr id".to_owned(), String::new())
        );
        // The first one's messages would be identified by what is no key of theirs.
        let taken = ("id", "at id", "id at tenant");
        assert_eq!(key(&[taken, b]), "");
        let keyless = ("", "", "id body");
        assert_eq!(key(&[a, keyless]), "");
    }

    #[test]
    fn the_key_is_for_all_tables_and_the_order_for_those_in_the_page() {
        let (a, b) = (
            ("id", "at id", "id at body"),
            ("tenant id", "id", "tenant id"),
        );
        assert_eq!(
            of(&[a, b], &[a]),
            ("tenant id".to_owned(), "at id".to_owned())
        );
        assert_eq!(of(&[a, b], &[]), ("tenant id".to_owned(), String::new()));
        let keyless = ("", "", "id body");
        assert_eq!(of(&[a, keyless], &[a]).0, "id");
        assert_eq!(of(&[a, keyless], &[keyless]).0, "");
    }
}
