//! WebSocket frames as a server writes them: unmasked, unfragmented (RFC 6455, section 5.2).

use bytes::{BufMut as _, Bytes, BytesMut};

const FINAL_TEXT: u8 = 0x81;

/// A text frame around `payload`.
pub(crate) fn text(payload: &[&[u8]]) -> Bytes {
    let len: usize = payload.iter().map(|part| part.len()).sum();
    let mut frame = BytesMut::with_capacity(len + 10);
    frame.put_u8(FINAL_TEXT);
    match len {
        0..=125 => frame.put_u8(len as u8),
        126..=0xffff => {
            frame.put_u8(126);
            frame.put_u16(len as u16);
        }
        _ => {
            frame.put_u8(127);
            frame.put_u64(len as u64);
        }
    }
    for part in payload {
        frame.put_slice(part);
    }
    frame.freeze()
}

/// Whether one of these whole frames is a Socket.IO CONNECT (`40`, Socket.IO protocol v5, "Connection to a namespace").
pub(crate) fn holds_connect(mut frames: &[u8]) -> bool {
    while let [head, short, rest @ ..] = frames {
        let (len, rest) = match short & 0x7f {
            126 => match rest.split_first_chunk::<2>() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return false,
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return false,
            },
            len => (u64::from(len), rest),
        };
        let Some((payload, rest)) = usize::try_from(len)
            .ok()
            .and_then(|len| rest.split_at_checked(len))
        else {
            return false;
        };
        if *head == FINAL_TEXT && payload.starts_with(b"40") {
            return true;
        }
        frames = rest;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_the_rfc_says() {
        for (len, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = text(&[&vec![b'x'; len]]);
            assert_eq!(frame.len(), len + header);
        }
    }

    #[test]
    fn connect_is_found_among_whole_frames_only() {
        let open = text(&[br#"0{"sid":"a"}"#]);
        let connect = text(&[br#"40{"sid":"b"}"#]);
        let long = text(&[b"42", &vec![b'x'; 70_000]]);
        let event = text(&[br#"42["a","40"]"#]);
        assert!(holds_connect(&[&open[..], &long, &connect].concat()));
        assert!(!holds_connect(&[&open[..], &long, &event].concat()));
        assert!(!holds_connect(&connect[..connect.len() - 1]));
        assert!(!holds_connect(&[]));
    }
}
