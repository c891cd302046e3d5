//! A client's packets on their way to the engine, and what is changed in them. No I/O.
//!
//! Why it exists: socketioxide reads the name of an event as a slice of the packet, and closes the connection if that can't be
//! done: if the name holds a JSON escape, or is a number. Such a name is written anew, so that the event is answered.

use std::borrow::Cow;

use serde_json::Number;

/// Between the packets of a POST (Engine.IO protocol v4, "HTTP long-polling").
const PACKET_SEPARATOR: char = '\u{1e}';

/// The body of a POST with packets that socketioxide can read.
pub(super) fn readable_body(body: &str) -> Cow<'_, str> {
    if body
        .split(PACKET_SEPARATOR)
        .all(|packet| matches!(readable(packet), Cow::Borrowed(_)))
    {
        return Cow::Borrowed(body);
    }
    let packets: Vec<_> = body.split(PACKET_SEPARATOR).map(readable).collect();
    Cow::Owned(packets.join(&PACKET_SEPARATOR.to_string()))
}

/// The packet, with the name of its event as socketioxide can read it.
pub(super) fn readable(packet: &str) -> Cow<'_, str> {
    match renamed(packet) {
        Some(renamed) => Cow::Owned(renamed),
        None => Cow::Borrowed(packet),
    }
}

/// An event (`42` or `45`, Socket.IO protocol v5, "Packet encoding") whose name must be changed.
fn renamed(packet: &str) -> Option<String> {
    let digit = |char: char| char.is_ascii_digit();
    let mut rest = match packet.get(..2)? {
        "42" => &packet[2..],
        "45" => packet[2..].trim_start_matches(digit).strip_prefix('-')?,
        _ => return None,
    };
    if rest.starts_with('/') {
        rest = rest.split_once(',')?.1;
    }
    let array = rest.trim_start_matches(digit).strip_prefix('[')?;
    let name = array.trim_start();
    let plain = name
        .strip_prefix('"')
        .and_then(|name| name.split_once('"'))
        .is_some_and(|(name, _)| !name.contains('\\'));
    if plain {
        return None;
    }
    let length = literal_length(name)?;
    let (literal, after) = name.split_at(length);
    let before = &packet[..packet.len() - name.len()];
    // Half a surrogate, too, is a name that no event has.
    let known: String = serde_json::from_str(literal).unwrap_or_default();
    Some(format!("{before}\"{}\"{after}", spelled(&known)))
}

/// How long the string or the number is that this JSON begins with.
fn literal_length(json: &str) -> Option<usize> {
    if !json.starts_with('"') {
        let length = json.find([',', ']'])?;
        let is_number = serde_json::from_str::<Number>(json[..length].trim_end()).is_ok();
        return is_number.then_some(length);
    }
    let mut escaped = true;
    json.char_indices().find_map(|(at, char)| {
        let ends = char == '"' && !escaped;
        // The first one is the quote that opens.
        escaped = at > 0 && char == '\\' && !escaped;
        ends.then_some(at + 1)
    })
}

/// The name, if it needs no escape; else one that no event has.
fn spelled(name: &str) -> &str {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, ':' | '_' | '-');
    if name.chars().all(plain) { name } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_escape_is_spelled_out_or_becomes_unknown() {
        for (sent, read) in [
            (
                r#"427["leave\u003aconversation","1"]"#,
                r#"427["leave:conversation","1"]"#,
            ),
            (r#"42["say \"hi\"",1]"#, r#"42["",1]"#),
            (r#"42[ "\u00e9" , {"a":"\\"}]"#, r#"42[ "" , {"a":"\\"}]"#),
            (r#"42/x,12["a\u0062"]"#, r#"42/x,12["ab"]"#),
            (r#"451-["a\u0062",{}]"#, r#"451-["ab",{}]"#),
            ("425[5 ,1]", r#"425["",1]"#),
            (r#"42["\ud800\\"]"#, r#"42[""]"#),
        ] {
            assert_eq!(readable(sent), read);
        }
    }

    #[test]
    fn any_other_packet_stays_as_it_is() {
        for packet in [
            "",
            "4",
            "42",
            "42[",
            "42[]",
            "42[\"",
            "42[\"\\",
            "2",
            "3",
            "1",
            "40{\"a\":\"\\\"\"}",
            "é",
            "4é",
            "45",
            "45-[",
            "42/x",
            "42{}",
            "42[{\"a\":1}]",
            "42[\"join:conversation\",\"\\u0031\"]",
            "42[null]",
        ] {
            assert!(matches!(readable(packet), Cow::Borrowed(_)), "{packet}");
        }
    }

    #[test]
    fn each_packet_of_a_body_is_read_by_itself() {
        let body = "3\u{1e}42[\"a\\u0062\"]\u{1e}42[\"c\"]";
        assert_eq!(readable_body(body), "3\u{1e}42[\"ab\"]\u{1e}42[\"c\"]");
        assert!(matches!(readable_body("3\u{1e}41"), Cow::Borrowed(_)));
    }
}
