use proptest::prelude::*;

use super::*;

const MAX: usize = 1_000;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(MASKED | short as u8),
        medium => {
            frame.push(MASKED | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

fn read(bytes: &[u8]) -> Result<Vec<Message>, CloseCode> {
    let mut incoming = Incoming::new(MAX, ClientPackets::new(100), Metrics::new().0);
    incoming.push(bytes);
    let mut messages = Vec::new();
    while let Some(message) = incoming.next()? {
        messages.push(message);
    }
    Ok(messages)
}

fn text(text: &'static str) -> Message {
    Message::Text(Bytes::from_static(text.as_bytes()))
}

#[test]
fn fragments_become_one_message_with_control_frames_between() {
    let bytes = [
        frame(TEXT, b"4"),
        frame(FINAL | PING, b"p"),
        frame(CONTINUATION, "é".as_bytes().split_at(1).0),
        frame(FINAL | CONTINUATION, "é".as_bytes().split_at(1).1),
        frame(FINAL | TEXT, b"3"),
    ]
    .concat();
    let expected = vec![
        Message::Ping(Bytes::from_static(b"p")),
        text("4é"),
        text("3"),
    ];
    assert_eq!(read(&bytes), Ok(expected));
}

#[test]
fn what_a_client_may_not_send_has_its_code() {
    let unmasked = vec![FINAL | TEXT, 1, b'3'];
    for (bytes, code) in [
        (unmasked, CloseCode::ProtocolError),
        (frame(FINAL | 0x40 | TEXT, b"3"), CloseCode::ProtocolError),
        (frame(FINAL | 0x3, b""), CloseCode::ProtocolError),
        (frame(FINAL | CONTINUATION, b""), CloseCode::ProtocolError),
        (frame(PING, b""), CloseCode::ProtocolError),
        (frame(FINAL | PING, &[0; 126]), CloseCode::ProtocolError),
        (frame(FINAL | CLOSE, b"x"), CloseCode::ProtocolError),
        (frame(FINAL | CLOSE, &[3, 0xed]), CloseCode::ProtocolError),
        (
            [frame(TEXT, b"4"), frame(FINAL | TEXT, b"4")].concat(),
            CloseCode::ProtocolError,
        ),
        (frame(FINAL | TEXT, b"\xff"), CloseCode::InvalidText),
        (
            frame(FINAL | CLOSE, &[3, 0xe8, 0xff]),
            CloseCode::InvalidText,
        ),
        (frame(FINAL | TEXT, &[b'4'; MAX + 1]), CloseCode::TooBig),
        // Refused by its first bytes: what was announced is not waited for.
        (
            frame(FINAL | BINARY, &[0; MAX + 1])[..8].to_vec(),
            CloseCode::TooBig,
        ),
        (
            [frame(TEXT, &[b'4'; MAX]), frame(FINAL | CONTINUATION, b"4")].concat(),
            CloseCode::TooBig,
        ),
    ] {
        assert_eq!(read(&bytes), Err(code), "{bytes:?}");
    }
    assert_eq!(
        read(&frame(FINAL | BINARY, &[7; MAX])),
        Ok(vec![Message::Binary(Bytes::from(vec![7; MAX]))])
    );
}

proptest! {
    /// However the bytes are cut into reads, the same messages come out; and they come out of our own frames, too.
    #[test]
    fn messages_do_not_depend_on_the_reads(
        payloads in prop::collection::vec(".{0,300}", 0..6),
        cut in 1_usize..40,
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|text| frame(FINAL | TEXT, text.as_bytes())).collect();
        prop_assume!(payloads.iter().all(|text| text.len() <= MAX));
        let mut incoming = Incoming::new(MAX, ClientPackets::new(100), Metrics::new().0);
        let mut messages = Vec::new();
        for piece in bytes.chunks(cut) {
            incoming.push(piece);
            while let Some(message) = incoming.next().expect("allowed") {
                messages.push(message);
            }
        }
        let again: Vec<u8> = messages.iter().flat_map(Message::to_client_frames).collect();
        prop_assert_eq!(read(&again).expect("allowed"), messages);
        prop_assert_eq!(payloads.len(), read(&bytes).expect("allowed").len());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _whatever = read(&bytes);
    }
}
