//! Rooms and contact ids as clients write them.

use super::*;
use serde_json::json;

#[test]
fn a_room_is_a_kind_and_an_id() {
    let parse = |value| Room::try_from(&value).map(|room| room.as_str().to_owned());
    for good in ["inbox:7", "order:a:b", "conversation:42", "ü:ß"] {
        assert_eq!(parse(json!(good)).as_deref(), Ok(good));
    }
    for bad in [
        json!("lobby"),
        json!(":7"),
        json!(7),
        json!(null),
        json!(""),
    ] {
        assert_eq!(parse(bad), Err(RoomError::Form));
    }
    let long = |kind: usize, id: usize| json!(format!("{}:{}", "k".repeat(kind), "i".repeat(id)));
    assert!(parse(long(1547, 500)).is_ok());
    for bad in [long(1, 0), long(1, 501), long(1548, 500)] {
        assert_eq!(parse(bad), Err(RoomError::Length));
    }
    assert_eq!(parse(json!("inbox:a\0b")), Err(RoomError::Nul));
    assert_eq!(
        parse(json!("rowcast:revocations")),
        Err(RoomError::Reserved)
    );
}

#[test]
fn a_contact_id_is_a_string_or_a_whole_number() {
    let parse = |value| ContactId::try_from(&value).map(|id| id.room().as_str().to_owned());
    assert_eq!(parse(json!("42")).as_deref(), Ok("conversation:42"));
    assert_eq!(parse(json!(42)).as_deref(), Ok("conversation:42"));
    assert_eq!(parse(json!(-1)).as_deref(), Ok("conversation:-1"));
    let exact = json!(9_007_199_254_740_991_i64);
    assert_eq!(parse(exact).as_deref(), Ok("conversation:9007199254740991"));
    for rounded in [
        json!(9_007_199_254_740_992_i64),
        json!(-120_363_025_246_125_486_i64),
        json!(1e300),
        json!(u64::MAX),
    ] {
        assert_eq!(parse(rounded), Err(ContactIdError::Rounded));
    }
    for bad in [json!(null), json!(1.5), json!(true), json!([1]), json!({})] {
        assert_eq!(parse(bad), Err(ContactIdError::Kind));
    }
    assert_eq!(parse(json!("")), Err(ContactIdError::Length));
    assert_eq!(parse(json!("x".repeat(501))), Err(ContactIdError::Length));
    assert_eq!(parse(json!("a\0b")), Err(ContactIdError::Nul));
}
