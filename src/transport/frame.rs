//! WebSocket frames as a server writes them: unmasked, unfragmented (RFC 6455, section 5.2). No I/O.
//!
//! Also changes frames of engineioxide's on their way out: CONNECT gets its pid, OPEN the largest message that is taken. Relies on
//! being given whole frames.

use bytes::{BufMut as _, Bytes, BytesMut};

const FINAL_TEXT: u8 = 0x81;
const FINAL_CLOSE: u8 = 0x88;
const FINAL_PONG: u8 = 0x8a;

/// A text frame around `payload`.
pub(super) fn text(payload: &[&[u8]]) -> Bytes {
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

/// A close frame with this code (RFC 6455, section 5.5.1).
pub(super) fn close(code: u16) -> Bytes {
    let [high, low] = code.to_be_bytes();
    Bytes::copy_from_slice(&[FINAL_CLOSE, 2, high, low])
}

/// A close frame without a code.
pub(super) const CLOSE: &[u8] = &[FINAL_CLOSE, 0];

/// A pong with the payload of the ping, which is at most 125 bytes.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    [&[FINAL_PONG, payload.len() as u8], payload]
        .concat()
        .into()
}

/// The answer to a probe (Engine.IO protocol v4, "Upgrade").
pub(super) fn probe_answer() -> Bytes {
    text(&[b"3probe"])
}

/// This whole frame of an OPEN packet with another `maxPayload`; `None` for any other frame.
pub(super) fn with_max_payload(frame: &[u8], max_payload: usize) -> Option<Bytes> {
    let (payload, b"") = split(frame)? else {
        return None;
    };
    Some(text(&[
        open_with_max_payload(payload, max_payload)?.as_bytes()
    ]))
}

/// An OPEN packet (`0{"sid":"...", ..}`: Engine.IO protocol v4, "Handshake") with another `maxPayload`.
pub(super) fn open_with_max_payload(packet: &[u8], max_payload: usize) -> Option<String> {
    let open = std::str::from_utf8(packet).ok()?;
    let (before, after) = open.strip_prefix('0')?.split_once("\"maxPayload\":")?;
    let after = after.trim_start_matches(|char: char| char.is_ascii_digit());
    Some(format!("0{before}\"maxPayload\":{max_payload}{after}"))
}

/// These whole frames with the pid in the CONNECT packet, if that is among them.
pub(super) fn with_pid(frames: &[u8], pid: &str) -> Option<Bytes> {
    let mut rest = frames;
    while let Some((payload, next)) = split(rest) {
        if rest[0] == FINAL_TEXT
            && let Some(connect) = connect_with_pid(payload, pid)
        {
            let before = &frames[..frames.len() - rest.len()];
            let mut out = BytesMut::from(before);
            out.put_slice(&text(&[&connect]));
            out.put_slice(next);
            return Some(out.freeze());
        }
        rest = next;
    }
    None
}

/// These whole frames with `data` in the CONNECT_ERROR packet, if that is among them.
pub(super) fn with_refusal(frames: &[u8], data: &str) -> Option<Bytes> {
    let mut rest = frames;
    while let Some((payload, next)) = split(rest) {
        if rest[0] == FINAL_TEXT
            && let Some(refusal) = connect_error_with_data(payload, data)
        {
            let before = &frames[..frames.len() - rest.len()];
            return Some([before, &text(&[&refusal]), next].concat().into());
        }
        rest = next;
    }
    None
}

/// A CONNECT_ERROR packet of the main namespace (`44{"message":"..."}`: Socket.IO protocol v5, "Connection to a namespace") with
/// `data`, which is JSON, beside the message; `None` for any other packet.
pub(super) fn connect_error_with_data(packet: &[u8], data: &str) -> Option<Vec<u8>> {
    let open = packet.strip_suffix(b"\"}")?;
    open.starts_with(b"44{\"message\":\"").then_some(())?;
    Some([open, b"\",\"data\":", data.as_bytes(), b"}"].concat())
}

/// What socketioxide answers a CONNECT with while it is closing. A stock client takes it for final, and never comes back.
pub(super) const CLOSING: &[u8] = br#"44{"message":"Invalid namespace"}"#;

/// Whether one of these whole frames is [`CLOSING`].
pub(super) fn holds_closing(mut frames: &[u8]) -> bool {
    while let Some((payload, next)) = split(frames) {
        if payload == CLOSING {
            return true;
        }
        frames = next;
    }
    false
}

/// The payload of the first frame, and what comes after it.
fn split(frames: &[u8]) -> Option<(&[u8], &[u8])> {
    let [_, short, rest @ ..] = frames else {
        return None;
    };
    let (len, rest) = match short & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*len)), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*len), rest)
        }
        len => (u64::from(len), rest),
    };
    rest.split_at_checked(usize::try_from(len).ok()?)
}

/// A Socket.IO CONNECT packet to the main namespace (`40{"sid":"..."}`: Engine.IO message, Socket.IO protocol v5,
/// "Connection to a namespace") with the pid beside the sid; `None` for any other packet, and for one that has a pid.
pub(super) fn connect_with_pid(packet: &[u8], pid: &str) -> Option<Vec<u8>> {
    let object = packet.strip_prefix(b"40")?.strip_suffix(b"}")?;
    (object.starts_with(b"{\"sid\":") && !object.contains(&b',')).then_some(())?;
    Some(
        [
            packet.strip_suffix(b"}")?,
            b",\"pid\":\"",
            pid.as_bytes(),
            b"\"}",
        ]
        .concat(),
    )
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
    fn connect_gets_its_pid_among_whole_frames() {
        let open = text(&[br#"0{"sid":"a"}"#]);
        let connect = text(&[br#"40{"sid":"b"}"#]);
        let long = text(&[b"42", &vec![b'x'; 70_000]]);
        let event = text(&[br#"42["a","40"]"#]);
        let greeted = text(&[br#"40{"sid":"b","pid":"p"}"#]);
        assert_eq!(
            with_pid(&[&open[..], &long, &connect, &event].concat(), "p").as_deref(),
            Some(&[&open[..], &long, &greeted, &event].concat()[..])
        );
        assert_eq!(with_pid(&[&open[..], &long, &event].concat(), "p"), None);
        assert_eq!(with_pid(&connect[..connect.len() - 1], "p"), None);
        assert_eq!(with_pid(&[], "p"), None);
        let refused = text(&[br#"44{"message":"no"}"#]);
        assert_eq!(with_pid(&refused, "p"), None);
    }

    #[test]
    fn a_refusal_gets_its_data_among_whole_frames() {
        let refused = text(&[br#"44{"message":"no"}"#]);
        let with_data = text(&[br#"44{"message":"no","data":{"retryable":true}}"#]);
        let event = text(&[br#"42["44",{"message":"no"}]"#]);
        assert_eq!(
            with_refusal(
                &[&event[..], &refused, &event].concat(),
                r#"{"retryable":true}"#
            )
            .as_deref(),
            Some(&[&event[..], &with_data, &event].concat()[..])
        );
        assert_eq!(with_refusal(&event, "{}"), None);
        assert_eq!(with_refusal(&with_data, "{}"), None);
        assert_eq!(with_refusal(&refused[..refused.len() - 1], "{}"), None);
    }
}
