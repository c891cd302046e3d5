//! Names and texts as TypeScript writes them.

use std::collections::BTreeSet;

use serde_json::Value;

/// A value as a type that has no other.
pub(super) fn literal(value: &Value) -> String {
    value.to_string().replace(['\u{2028}', '\u{2029}'], " ")
}

/// The name of a member.
pub(super) fn member(name: &str) -> String {
    let mut chars = name.chars();
    let is_plain = chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || first == '$')
        && chars.all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '$');
    match is_plain {
        true => name.to_owned(),
        false => literal(&name.into()),
    }
}

/// A text within a comment.
pub(super) fn comment(text: &str) -> String {
    let line = crate::one_line::one_line(text, |_| false);
    line.replace("*/", "* /")
}

/// The name of a row's type: of public.wa_messages it is `WaMessagesRow`. `taken` has those that there are.
pub(super) fn type_name(source: &str, taken: &mut BTreeSet<String>) -> String {
    let bare = source.strip_prefix("public.").unwrap_or(source);
    let words = bare.split(|it: char| !it.is_ascii_alphanumeric());
    let words = words.map(|word| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    let mut name = words.collect::<String>();
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.insert(0, 'T');
    }
    let wanted = (1..).map(|nth| match nth {
        1 => format!("{name}Row"),
        nth => format!("{name}{nth}Row"),
    });
    let mut free = wanted.filter(|name| !taken.contains(name));
    let name = free.next().expect("numbers don't end");
    taken.insert(name.clone());
    name
}

/// A column's name as clients see it: `customer_id` is `customerId`. Leading underscores stay.
pub(super) fn wire_name(key_case: &str, name: &str) -> String {
    if key_case != "camel" {
        return name.to_owned();
    }
    let bare = name.trim_start_matches('_');
    let mut wire = name[..name.len() - bare.len()].to_owned();
    for (nth, part) in bare.split('_').filter(|part| !part.is_empty()).enumerate() {
        let mut chars = part.chars();
        match (nth, chars.next()) {
            (1.., Some(first)) => wire.extend(first.to_uppercase().chain(chars)),
            _ => wire += part,
        }
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire_and_of_typescript() {
        for (name, wire) in [
            ("customer_id", "customerId"),
            ("__a_b", "__aB"),
            ("a__b_", "aB"),
            ("createdAt", "createdAt"),
            ("_", "_"),
            ("a_1b", "a1b"),
        ] {
            assert_eq!(wire_name("camel", name), wire);
            assert_eq!(wire_name("as_is", name), name);
        }
        let mut taken = BTreeSet::new();
        let mut name = |source| type_name(source, &mut taken);
        assert_eq!(name("public.wa_messages"), "WaMessagesRow");
        assert_eq!(name("public.\"waMessages\""), "WaMessages2Row");
        assert_eq!(name("crm.messages"), "CrmMessagesRow");
        assert_eq!(name("public.\"1\""), "T1Row");
        assert_eq!(name("public.\"é\""), "TRow");
        assert_eq!(
            (member("a_1"), member("a-b")),
            ("a_1".to_owned(), "\"a-b\"".to_owned())
        );
    }
}
