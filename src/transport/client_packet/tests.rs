use super::*;

const RATE: u32 = 20;

fn text(packet: &str) -> Option<Cow<'_, str>> {
    ClientPackets::new(RATE)
        .text(packet, Instant::now())
        .expect("it is allowed")
}

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
        ("425[5 ,1]", r#"425["",1]"#),
        (r#"42["\ud800\\"]"#, r#"42[""]"#),
    ] {
        assert_eq!(text(sent).as_deref(), Some(read));
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
        "45x-[",
        "451[",
        "42/x",
        "42{}",
        "42[{\"a\":1}]",
        "42[\"join:conversation\",\"\\u0031\"]",
        "42[null]",
        "431[]",
    ] {
        assert!(matches!(text(packet), Some(Cow::Borrowed(_))), "{packet}");
    }
}

#[test]
fn binary_arguments_are_dropped_and_the_event_is_refused() {
    let now = Instant::now();
    let mut packets = ClientPackets::new(RATE);
    assert_eq!(packets.attachment(), Err(CloseCode::Unsupported));
    let placeholders = r#"["a",{"_placeholder":true,"num":0}]"#;
    let sent = format!("452-7{placeholders}");
    let read = packets.text(&sent, now).expect("allowed");
    assert_eq!(read.as_deref(), Some(r#"427["rowcast:binary"]"#));
    assert_eq!(
        (packets.attachment(), packets.attachment()),
        (Ok(()), Ok(()))
    );
    assert_eq!(packets.attachment(), Err(CloseCode::Unsupported));

    let sent = format!("451-/x,{placeholders}");
    assert_eq!(text(&sent).as_deref(), Some(r#"42/x,["rowcast:binary"]"#));
    // The answer to an event of ours, of which we send none that asks for one.
    assert_eq!(text("461-5[{}]"), None);
    let endless = "99999999999999999999999";
    let sent = format!("45{endless}-[\"a\"]");
    assert!(packets.text(&sent, now).is_ok_and(|read| read.is_some()));
    assert_eq!(packets.attachments_due, u64::MAX);
}

#[test]
fn each_packet_of_a_body_is_read_by_itself() {
    let now = Instant::now();
    let read = |body| {
        ClientPackets::new(RATE)
            .body(body, now)
            .map(Cow::into_owned)
    };
    let body = "3\u{1e}42[\"a\\u0062\"]\u{1e}42[\"c\"]";
    assert_eq!(
        read(body).as_deref(),
        Ok("3\u{1e}42[\"ab\"]\u{1e}42[\"c\"]")
    );
    let mut packets = ClientPackets::new(RATE);
    assert!(matches!(
        packets.body("3\u{1e}41", now),
        Ok(Cow::Borrowed(_))
    ));
    let body = "3\u{1e}452-[\"a\"]\u{1e}bAAAA";
    let left = packets.body(body, now).map(Cow::into_owned);
    assert_eq!(left.as_deref(), Ok("3\u{1e}42[\"rowcast:binary\"]"));
    // The other one comes with the next body.
    assert_eq!(packets.body("bAAAA\u{1e}3", now).as_deref(), Ok("3"));
    assert_eq!(
        packets.body("bAAAA", now).err(),
        Some(CloseCode::Unsupported)
    );
}

#[test]
fn namespaces_are_short_and_entered_now_and_then() {
    let now = Instant::now();
    let mut packets = ClientPackets::new(RATE);
    let named = |bytes: usize| format!("40/{},", "x".repeat(bytes - 1));
    assert!(packets.text(&named(MAX_NAMESPACE_BYTES), now).is_ok());
    let long = named(MAX_NAMESPACE_BYTES + 1);
    assert_eq!(packets.text(&long, now).err(), Some(CloseCode::TooBig));
    for packet in ["40", "41", "42/x,[\"a\"]"]
        .into_iter()
        .cycle()
        .take(RATE as usize - 1)
    {
        assert!(packets.text(packet, now).is_ok(), "{packet}");
    }
    assert_eq!(packets.text("41", now).err(), Some(CloseCode::Policy));
    assert!(
        packets.text("42[\"a\"]", now).is_ok(),
        "an event is counted elsewhere"
    );
    let now = now + std::time::Duration::from_secs(1);
    for _ in 0..RATE / 10 {
        assert!(packets.text("40{}", now).is_ok());
    }
    assert_eq!(packets.text("40", now).err(), Some(CloseCode::Policy));
}
