//! How lists, rules and words are written on a command line.

use super::*;

#[test]
fn what_is_short_is_what_json_says() {
    let rule = json!({ "on": "update", "event": "message:status", "columns": ["state", "ack"] });
    let short = rules("update of state, ack: message:status");
    assert_eq!(short, Ok(Objects(vec![rule.clone()])));
    assert_eq!(rules(&rule.to_string()), short);
    assert_eq!(rules(&format!("[{rule}]")), short);
    let words = words("ack=0:sent,1:read: twice").expect("words");
    assert_eq!(
        Value::Object(words.0),
        json!({ "ack": { "0": "sent", "1": "read: twice" } })
    );
    for (text, value) in [
        ("a=bot", json!("bot")),
        ("a=7", json!(7)),
        ("a=\"7\"", json!("7")),
    ] {
        let said = defaults(text).expect("a default");
        assert_eq!(said.0["a"], value);
    }
    assert_eq!(
        lookups("c=public.chats").expect("a lookup").0["c"],
        json!({ "table": "public.chats" })
    );
    assert_eq!(
        lookups(r#"c={"table": "d"}"#).expect("a lookup").0["c"],
        json!({ "table": "d" })
    );
    assert_eq!(columns("a, b"), Ok(Columns(vec!["a".into(), "b".into()])));
    assert_eq!(columns(r#"["a,b"]"#), Ok(Columns(vec!["a,b".into()])));
}

#[test]
fn what_is_said_of_one_name_is_put_together() {
    let twice = [words("ack=0:sent"), words("ack=1:read")].map(|it| it.expect("words"));
    assert_eq!(
        merged(&twice),
        Some(json!({ "ack": { "0": "sent", "1": "read" } }))
    );
    assert_eq!(AttachFlags::default().arguments(), Map::new());
}

#[test]
fn what_is_not_understood_says_what_is_accepted() {
    let refusals = [
        rules("update state").err(),
        rules("upsert: x").err(),
        rules("{").err(),
        rooms("inbox:7").err(),
        words("ack").err(),
        words("ack=0").err(),
        defaults("=x").err(),
        lookups("chat").err(),
        lookups("chat=").err(),
        columns("a,,b").err(),
        payload("[]").err(),
        payload("{row}").err(),
    ];
    for refusal in refusals {
        let refusal = refusal.expect("a refusal");
        assert!(refusal.contains("accepted: "), "{refusal}");
    }
}
