use super::*;

#[test]
fn a_join_takes_an_id_or_an_object() {
    let in_form =
        |form, arg: Value| JoinArgs::parse(form, &[arg]).map(|join| join.room.as_str().to_owned());
    let parse = |arg| in_form(RoomForm::Conversation, arg);
    let expected = Ok("conversation:42".to_owned());
    assert_eq!(parse(json!("42")), expected);
    assert_eq!(parse(json!(42)), expected);
    assert_eq!(parse(json!({ "contactId": 42, "after": null })), expected);
    let parse_room = |arg| in_form(RoomForm::Room, arg);
    let expected = Ok("inbox:7".to_owned());
    assert_eq!(parse_room(json!("inbox:7")), expected);
    assert_eq!(parse_room(json!({ "room": "inbox:7" })), expected);
    for wrong in [
        json!("7"),
        json!(7),
        json!({ "contactId": "7" }),
        json!({ "room": "rowcast:revocations" }),
    ] {
        assert_eq!(parse_room(wrong).unwrap_err().code(), "bad_request");
    }
    for wrong in [
        json!({}),
        json!([]),
        json!({ "contactId": "1", "after": 5 }),
        json!({ "contactId": "1", "x": 1 }),
        json!({ "room": "conversation:1" }),
    ] {
        assert_eq!(parse(wrong).unwrap_err().code(), "bad_request");
    }
    for count in [0, 2] {
        let args = vec![json!("1"); count];
        assert!(JoinArgs::parse(RoomForm::Conversation, &args).is_err());
    }
}

#[test]
fn a_packet_is_a_name_and_arguments() {
    let (request, args) = parse(r#"["join:conversation",1,{"a":2}]"#);
    assert_eq!(
        (request, args),
        (
            Request::Join(RoomForm::Conversation),
            Ok(vec![json!(1), json!({ "a": 2 })])
        )
    );
    assert_eq!(parse(r#"["shout"]"#), (Request::Unknown, Ok(Vec::new())));
    for odd in ["[]", "[5]", r#"["x",]"#, "{}", ""] {
        assert_eq!(parse(odd).0, Request::Unknown, "{odd}");
    }
}

#[test]
fn binary_arguments_are_refused_as_such() {
    let (_, args) = parse(&json!([name::BINARY]).to_string());
    assert_eq!(args, Err(Refusal::binary()));
}
